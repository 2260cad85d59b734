// One job, live: what it is (the job itself, read again when it changes) and what happens (its log).
import { getJson } from "./api.js";
import { CHARTS, Chart } from "./charts.js";
import { duration, elapsed, integer, modelName, number, percent } from "./format.js";
import { Component, html } from "./html.js";
import { Cancel, Checkpoints, LogTail, Timeline } from "./jobparts.js";
import { isOver, Progress, Status } from "./jobs.js";
import { JobLog } from "./log.js";
import { Samples } from "./samples.js";
import { follow } from "./stream.js";

const DRAW_MS = 150; // records come in bursts: one drawing for all of a burst
const READ_MS = 1_000; // the job itself is read at most this often
const IDLE_READ_MS = 5_000; // and at least this often while it is not over: a queue moves without records
const CONNECTION = { connecting: "connecting", live: "live", reconnecting: "reconnecting…", ended: "" };

export class JobPage extends Component {
  state = { job: null, checkpoints: [], problem: null, connection: "connecting", version: 0 };
  log = new JobLog();
  leaving = new AbortController();

  componentDidMount() {
    this.read();
    this.idle = setInterval(() => this.state.job && !isOver(this.state.job) && this.read(), IDLE_READ_MS);
    follow(this.props.id, {
      signal: this.leaving.signal,
      onState: (connection) => {
        this.setState({ connection });
        if (connection === "ended") this.read();
      },
      onRecord: (record) => {
        this.log.add(record);
        this.draw ??= setTimeout(this.redraw, DRAW_MS);
      },
    }).catch((problem) => this.setState({ problem }));
  }

  componentWillUnmount() {
    this.leaving.abort();
    clearInterval(this.idle);
    clearTimeout(this.draw);
    clearTimeout(this.reading);
  }

  redraw = () => {
    this.draw = undefined;
    this.setState(({ version }) => ({ version: version + 1 }));
    this.reading ??= setTimeout(() => this.read(), READ_MS);
  };

  async read() {
    clearTimeout(this.reading);
    this.reading = undefined;
    const { signal } = this.leaving;
    try {
      const [job, { data: checkpoints }] = await Promise.all([
        getJson(`jobs/${this.props.id}`, { signal }),
        getJson(`jobs/${this.props.id}/checkpoints`, { signal }),
      ]);
      document.title = `${job.name} · ${job.status} · Duet`;
      this.setState({ job, checkpoints, problem: null });
    } catch (problem) {
      if (!signal.aborted) this.setState({ problem });
    }
  }

  render({ id }, { job, checkpoints, problem, connection, version }) {
    const alert = problem && html`<p class="alert" role="alert">${problem.message}</p>`;
    if (!job) return alert ?? html`<p class="muted">Loading…</p>`;
    return html`
      ${alert}
      <${Head} job=${job} connection=${connection} onChange=${(changed) => this.setState({ job: changed })} />
      ${job.error && html`<${Failure} error=${job.error} />`}
      <${Facts} job=${job} log=${this.log} />
      <h2>Curves</h2>
      ${this.log.isEmpty ? html`<p class="muted">Curves appear with the first step.</p>` : html`
        <div class="charts">
          ${CHARTS.map((chart) => html`<${Chart} key=${chart.title} chart=${chart} log=${this.log} version=${version} />`)}
        </div>`}
      <h2>Samples</h2>
      <${Samples} log=${this.log} />
      <div class="columns">
        <section><h2>Checkpoints</h2><${Checkpoints} checkpoints=${checkpoints} jobId=${id} /></section>
        <section><h2>Timeline</h2><${Timeline} entries=${job.timeline} /></section>
      </div>
      <h2>Log</h2>
      <${LogTail} job=${job} />`;
  }
}

const Head = ({ job, connection, onChange }) => html`
  <div class="head">
    <div>
      <h1>${job.name}</h1>
      <p class="muted small">
        <span class="mono">${job.id}</span> · ${modelName(job)} · groups of ${job.spec?.algorithm?.group_size}
        ${job.attempt > 1 && ` · attempt ${job.attempt}`}
      </p>
    </div>
    <div class="actions">
      <${Status} job=${job} />
      <span class="small muted" role="status">${isOver(job) ? "" : CONNECTION[connection]}</span>
      ${!isOver(job) && html`<${Cancel} job=${job} onChange=${onChange} />`}
    </div>
  </div>
  <div class="progress">
    ${job.progress?.total_steps && html`<${Progress} job=${job} />`}
    <p class="muted small">${sentence(job)}</p>
  </div>`;

/** What goes on now, and for how long yet. */
function sentence(job) {
  if (isOver(job)) return job.status_reason;
  if (job.queue) return `Number ${job.queue.position} in the queue, waiting for ${job.queue.waiting_for}.`;
  const left = job.progress?.seconds_left;
  const phase = (job.phase ?? "starting").replaceAll("_", " ");
  return `${phase[0].toUpperCase()}${phase.slice(1)}${left == null ? "" : `, about ${duration(left)} left`}.`;
}

const Failure = ({ error }) => html`
  <section class="alert" role="alert">
    <h2>${error.message}</h2>
    ${error.hint && html`<p>${error.hint}</p>`}
    <p class="small">Code <span class="mono">${error.code}</span></p>
    ${error.log_tail && html`
      <details>
        <summary>Last lines of the log</summary>
        <pre class="text" tabindex="0" role="group" aria-label="Last lines of the log">${error.log_tail}</pre>
      </details>`}
  </section>`;

function Facts({ job, log }) {
  const accuracy = [log.first("eval", "eval/accuracy"), log.last("eval", "eval/accuracy")];
  const change = accuracy[0] === undefined ? "–" : accuracy.map(percent).join(" → ");
  const facts = [
    ["Held-out accuracy", log.rows.eval.length > 1 ? change : percent(accuracy[1])],
    ["Reward", number(log.last("metric", "reward"))],
    ["Tied groups", percent(log.last("metric", "groups/tied_fraction"))],
    ["Rollouts", integer(log.last("metric", "num_rollouts"))],
    ["Rollout tokens/s", number(log.last("metric", "rollout/tokens_per_second"))],
    [isOver(job) ? "Took" : "Running for", elapsed(job)],
  ];
  return html`<dl class="facts">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}
