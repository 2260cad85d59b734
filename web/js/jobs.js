// The list of jobs, newest first, kept fresh.
import { getJson } from "./api.js";
import { elapsed, integer, modelName, number, percent, time } from "./format.js";
import { Component, html } from "./html.js";

const REFRESH_MS = 4_000;
const MOST_COMPARED = 16; // as the server compares

export class JobsPage extends Component {
  state = { jobs: null, next: null, problem: null, limit: 25, chosen: [] };

  componentDidMount() {
    document.title = "Jobs · Duet";
    this.load();
    this.timer = setInterval(() => document.hidden || this.load(), REFRESH_MS);
  }

  componentWillUnmount() {
    clearInterval(this.timer);
  }

  async load() {
    try {
      const { data, next } = await getJson(`jobs?limit=${this.state.limit}`);
      this.setState({ jobs: data, next, problem: null });
    } catch (problem) {
      this.setState({ problem });
    }
  }

  more = () => this.setState({ limit: 100 }, () => this.load());

  choose = (id, isChosen) =>
    this.setState(({ chosen }) => ({ chosen: isChosen ? [...chosen, id] : chosen.filter((other) => other !== id) }));

  render(_, { jobs, next, problem, limit, chosen }) {
    return html`
      <div class="title">
        <h1>Jobs</h1>
        ${jobs?.length > 1 && html`<${CompareButton} chosen=${chosen} />`}
      </div>
      ${problem && html`<p class="alert" role="alert">${problem.message}</p>`}
      ${jobs === null && !problem && html`<p class="muted">Loading…</p>`}
      ${jobs?.length === 0 && html`<${Empty} />`}
      ${jobs?.length > 0 && html`<${Table} jobs=${jobs} chosen=${chosen} onChoose=${this.choose} />`}
      ${next && limit < 100 && html`<button onClick=${this.more}>Show up to 100</button>`}
      ${next && limit === 100 && html`<p class="muted">The newest 100 jobs; the API pages through all of them.</p>`}`;
  }
}

const Empty = () => html`
  <div class="panel empty">
    <h2>No jobs yet</h2>
    <p class="muted">Submit one and its curves appear here while it trains:</p>
    <pre>duet submit spec.yaml --watch</pre>
  </div>`;

const CompareButton = ({ chosen }) => html`
  <button disabled=${chosen.length < 2 || chosen.length > MOST_COMPARED}
    onClick=${() => (location.hash = `#/compare/${chosen.join(",")}`)}>
    ${chosen.length < 2 ? "Choose jobs to compare" : `Compare ${chosen.length} jobs`}
  </button>`;

const Table = ({ jobs, chosen, onChoose }) => html`
  <table class="panel jobs">
    <thead>
      <tr>
        <th scope="col"><span class="unseen">Compare</span></th><th scope="col">Job</th><th scope="col">Status</th><th scope="col">Progress</th>
        <th scope="col" class="number wide">Reward</th><th scope="col" class="number wide">Held-out</th>
        <th scope="col" class="number wide">Tied</th><th scope="col" class="wide">Took</th><th scope="col" class="wide">Created</th>
      </tr>
    </thead>
    <tbody>${jobs.map((job) => html`<${Row} key=${job.id} job=${job} isChosen=${chosen.includes(job.id)} onChoose=${onChoose} />`)}</tbody>
  </table>`;

function Row({ job, isChosen, onChoose }) {
  const metrics = job.latest_metrics ?? {};
  return html`
    <tr>
      <td class="choice">
        <input type="checkbox" aria-label="Compare ${job.name}" checked=${isChosen}
          onChange=${(event) => onChoose(job.id, event.target.checked)} />
      </td>
      <th scope="row">
        <a href="#/jobs/${job.id}">${job.name}</a>
        <span class="muted small">${modelName(job)}, group of ${job.spec?.algorithm?.group_size}</span>
      </th>
      <td><${Status} job=${job} /></td>
      <td><${Progress} job=${job} /></td>
      <td class="number wide">${number(metrics.reward)}</td>
      <td class="number wide">${percent(metrics["eval/accuracy"])}</td>
      <td class="number wide">${percent(metrics["groups/tied_fraction"])}</td>
      <td class="wide">${elapsed(job)}</td>
      <td class="wide">${time(job.created_at)}</td>
    </tr>`;
}

const STOPPING = { cancel: "cancelling", kill: "killing", pause: "pausing" };

export const isOver = (job) => ["succeeded", "failed", "cancelled"].includes(job.status);

export const Status = ({ job }) => html`
  <span class="status ${job.status}">${(job.status === "running" && STOPPING[job.wanted]) || job.status}</span>`;

export function Progress({ job }) {
  const { step, total_steps: total } = job.progress ?? {};
  if (!total) return html`<span class="muted">${job.status === "queued" ? "waiting" : "–"}</span>`;
  return html`
    <progress value=${step ?? 0} max=${total} aria-label="Steps of ${job.name}"></progress>
    <span class="small muted tabular">${integer(step ?? 0)} / ${integer(total)}</span>`;
}
