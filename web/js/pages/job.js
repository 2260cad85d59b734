// One job, live: the job itself, read again when it changes, and its log.
import { maySubmit } from "../net/session.js";
import { Actions } from "../job/actions.js";
import { getJson, isFinal } from "../net/api.js";
import { Attempts, marksOf } from "../job/attempts.js";
import { CURVES, scoreOf } from "../job/chart_table.js";
import { Curves } from "../job/curves.js";
import { duration, integer, modelName, number, percent, ranFor, sentence, time } from "../ui/format.js";
import { Component, html } from "../ui/html.js";
import { Checkpoints } from "../job/checkpoints.js";
import { isOver, Progress, Status } from "../job/job_table.js";
import { JobLog, MOST_POINTS } from "../job/job_log.js";
import { LogTail } from "../job/log_tail.js";
import { Records } from "../job/records.js";
import { Samples } from "../job/samples.js";
import { Spec } from "../job/spec.js";
import { Timeline } from "../job/timeline.js";
import { follow } from "../net/event_stream.js";

const DRAW_MS = 150; // records come in bursts: one rendering per burst
const READ_MS = 1_000; // the job itself is read at most this often
const IDLE_READ_MS = 5_000; // and at least this often until it ends: a queue moves without records
const NEWEST_RECORDS = 20; // enough to contain a step's samples
const NAMES = [...CURVES, "num_rollouts", "num_tokens"].join(",");
const COST = `metric=step_time&x=seconds&max_points=${MOST_POINTS}`; // cost per step, an x axis of the curves
const CONNECTION = { connecting: "connecting", live: "live", reconnecting: "reconnecting…", ended: "" };

export class JobPage extends Component {
  state = { job: null, checkpoints: [], attempts: [], problem: null, connection: "connecting", version: 0, isOpen: false };
  log = new JobLog();
  leaving = new AbortController();

  componentDidMount() {
    this.idle = setInterval(() => this.state.job && !isOver(this.state.job) && this.read(), IDLE_READ_MS);
    this.open();
  }

  componentWillUnmount() {
    this.leaving.abort();
    clearInterval(this.idle);
    for (const timer of [this.opening, this.draw, this.reading]) clearTimeout(timer);
  }

  get(rest) {
    return getJson(`jobs/${this.props.id}${rest}`, { signal: this.leaving.signal });
  }

  /** Loads the downsampled state, then follows the stream from there. */
  async open() {
    const { signal } = this.leaving;
    try {
      const job = await this.get(""); // before its curves, which include all records up to its last_seq
      this.setState({ job, problem: null });
      const from = Math.max(0, job.last_seq - NEWEST_RECORDS);
      const [{ metrics }, { data: samples }] = await Promise.all([
        this.get(`/metrics?names=${encodeURIComponent(`${NAMES},${scoreOf(job).metric}`)}&max_points=${MOST_POINTS}`),
        this.get(`/samples?after=${from}&limit=${NEWEST_RECORDS}`),
        this.read(),
      ]);
      this.log.load(metrics, job.last_seq);
      this.log.sampleStep = samples.at(-1)?.step ?? job.progress.step;
      this.setState({ isOpen: true });
      this.redraw();
      const { jobs: [cost] } = await getJson(`compare?jobs=${job.id}&${COST}`, { signal });
      this.log.setClock(cost);
      await follow(this.props.id, { after: job.last_seq, signal, onState: this.connect, onRecord: this.take });
    } catch (problem) {
      if (signal.aborted) return;
      this.setState({ problem });
      if (!isFinal(problem)) this.opening = setTimeout(() => this.open(), IDLE_READ_MS);
    }
  }

  connect = (connection) => {
    this.setState({ connection });
    if (connection === "ended") this.read();
  };

  take = (record) => {
    this.log.add(record);
    this.draw ??= setTimeout(this.redraw, DRAW_MS);
    this.reading ??= setTimeout(() => this.read(), READ_MS);
  };

  redraw = () => {
    clearTimeout(this.draw);
    this.draw = undefined;
    this.setState(({ version }) => ({ version: version + 1 }));
  };

  async read() {
    clearTimeout(this.reading);
    this.reading = undefined;
    try {
      const asked = ["", "/checkpoints", "/attempts"].map((rest) => this.get(rest));
      const [job, { data: checkpoints }, { data: attempts }] = await Promise.all(asked);
      document.title = `${job.name} · ${job.status} · Duet`;
      this.setState({ job, checkpoints, attempts, problem: null });
    } catch (problem) {
      if (!this.leaving.signal.aborted) this.setState({ problem });
    }
  }

  render({ me }, { job, checkpoints, problem, connection, isOpen }) {
    const alert = problem && html`<p class="alert" role="alert">${problem.message}</p>`;
    if (!job) return alert ?? html`<p class="muted">Loading…</p>`;
    return html`
      ${alert}
      <${Head} job=${job} me=${me} connection=${connection} />
      <${Actions} job=${job} me=${me} checkpoints=${checkpoints} onChange=${() => this.read()} />
      ${job.error && html`<${Failure} error=${job.error} />`}
      <${Facts} job=${job} log=${this.log} />
      ${isOpen ? this.told(job) : html`<p class="muted">Loading the curves…</p>`}`;
  }

  /** Everything below the controls, rendered at once, so that the layout does not shift. */
  told(job) {
    const { checkpoints, attempts, version } = this.state;
    const { log } = this;
    return html`
      <h2>Curves</h2>
      <${Curves} log=${log} marks=${marksOf(attempts)} version=${version} />
      <h2>Samples</h2>
      <${Samples} jobId=${job.id} newest=${log.sampleStep} version=${log.numSamples} />
      <h2>Attempts</h2>
      <${Attempts} attempts=${attempts} />
      <div class="columns">
        <section><h2>Checkpoints</h2><${Checkpoints} checkpoints=${checkpoints} job=${job} me=${this.props.me} /></section>
        <section><h2>Timeline</h2><${Timeline} entries=${job.timeline} /></section>
      </div>
      <h2>Settings</h2>
      <${Spec} job=${job} />
      <h2>Log</h2>
      <${Records} job=${job} />
      <${LogTail} job=${job} />`;
  }
}

const Head = ({ job, me, connection }) => html`
  <div class="head">
    <div>
      <h1>${job.name}</h1>
      <p class="muted small">
        <span class="mono">${job.id}</span> · ${modelName(job)} · groups of ${job.spec?.algorithm?.group_size}
        ${job.attempt > 1 && ` · attempt ${job.attempt}`}
        ${maySubmit(me) && html` · <a href="#/new?from=${job.id}">start a similar job</a>`}
        ${job.retry_of && html` · retry of <a class="mono" href="#/jobs/${job.retry_of}">${job.retry_of}</a>`}
      </p>
    </div>
    <div class="state">
      <${Status} job=${job} />
      <span class="small muted" role="status">${isOver(job) ? "" : CONNECTION[connection]}</span>
    </div>
  </div>
  <div class="progress">
    ${job.progress?.total_steps && html`<${Progress} job=${job} />`}
    <p class="muted small">${standing(job)}</p>
  </div>`;

/** The current activity and its remaining time. */
function standing(job) {
  if (isOver(job)) return sentence(job.status_reason);
  if (job.status === "paused") return `${job.status_reason}.`;
  if (job.queue) {
    const { position, waiting_for: cause, since } = job.queue;
    const place = position == null ? "Far back" : `Number ${position}`;
    return html`${place} in the queue, waiting for ${sentence(cause)} since ${time(since)}.`;
  }
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
  const { metric, title, format } = scoreOf(job);
  const ends = [log.first(metric), log.last(metric)];
  const change = ends[0] === undefined ? "–" : ends.map(format).join(" → ");
  const facts = [
    [title, log.curves.get(metric)?.length > 1 ? change : format(ends[1])],
    ["Reward", number(log.last("reward"))],
    ["Tied groups", percent(log.last("groups/tied_fraction"))],
    ["Rollouts", integer(log.last("num_rollouts"))],
    ["Rollout tokens/s", number(log.last("rollout/tokens_per_second"))],
    ["Ran for", ranFor(job)],
  ];
  return html`<dl class="facts">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}
