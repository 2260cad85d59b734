// The list of jobs, refreshed; filters and order are in the address.
import { addressed, link } from "../ui/address.js";
import { getJson, postJson } from "../net/api.js";
import { Component, html } from "../ui/html.js";
import { Table } from "../job/job_table.js";

const REFRESH_MS = 4_000;
const SEARCH_MS = 250; // after the last key
const PAGE = 50;
const MOST_COMPARED = 16; // the server's limit
const STATUSES = ["queued", "running", "paused", "succeeded", "failed", "cancelled"];
const SORTS = { "": "newest first", created_at: "oldest first", name: "by name", "-name": "by name, descending" };
const FILTERS = ["text", "status", "model", "label"];

export class JobsPage extends Component {
  state = { jobs: null, next: null, problem: null, chosen: [] };

  componentDidMount() {
    this.load();
    document.addEventListener("visibilitychange", this.refresh);
  }

  componentDidUpdate({ query }) {
    if (`${query}` !== `${this.props.query}`) this.load();
  }

  componentWillUnmount() {
    for (const timer of [this.timer, this.typing]) clearTimeout(timer);
    this.asking.abort();
    document.removeEventListener("visibilitychange", this.refresh);
  }

  /** Polling pauses while the page is hidden. */
  refresh = () => document.hidden || this.load();

  async load() {
    clearTimeout(this.timer);
    this.asking?.abort();
    const { signal } = (this.asking = new AbortController());
    try {
      const { data, next } = await getJson(`jobs?${addressed(this.props.query, { limit: PAGE })}`, { signal });
      this.setState(({ jobs }) => ({ jobs: kept(jobs ?? [], data), next, problem: null }));
    } catch (problem) {
      if (!signal.aborted) this.setState({ problem });
    }
    if (!signal.aborted) this.timer = setTimeout(this.refresh, REFRESH_MS);
  }

  /** Another filter starts at its first job, and replaces the history entry. */
  filter = ({ target: { name, value } }) => {
    clearTimeout(this.typing);
    const go = () => location.replace(link("/", this.props.query, { [name]: value.trim(), after: "" }));
    if (name === "text") this.typing = setTimeout(go, SEARCH_MS);
    else go();
  };

  choose = (id, isChosen) =>
    this.setState(({ chosen }) => ({ chosen: isChosen ? [...chosen, id] : chosen.filter((other) => other !== id) }));

  render({ query, me }, { jobs, next, problem, chosen }) {
    const isFiltered = FILTERS.some((name) => query.has(name));
    const isNew = jobs?.length === 0 && !isFiltered && !query.has("after");
    return html`
      <div class="title">
        <h1>Jobs</h1>
        ${(jobs?.length > 1 || chosen.length > 0) && html`<${Choice} chosen=${chosen} onClear=${() => this.setState({ chosen: [] })} />`}
      </div>
      ${problem && html`<p class="alert" role="alert">${problem.message}</p>`}
      ${jobs === null && !problem && html`<p class="muted">Loading…</p>`}
      ${isNew && html`<${Welcome} me=${me} />`}
      ${jobs && !isNew && html`
        <${Filters} query=${query} onFilter=${this.filter} />
        ${jobs.length === 0
          ? html`<p class="panel empty muted">No matching jobs. <a href="#/">Show all jobs</a></p>`
          : html`<${Table} jobs=${jobs} chosen=${chosen} onChoose=${this.choose} />`}
        <${Pages} query=${query} next=${next} />`}`;
  }
}

/** The new list, with the same objects for unchanged jobs. */
function kept(before, now) {
  const known = new Map(before.map((job) => [job.id, job]));
  return now.map((job) => (JSON.stringify(known.get(job.id)) === JSON.stringify(job) ? known.get(job.id) : job));
}

const Filters = ({ query, onFilter }) => html`
  <form class="filters" role="search" aria-label="Jobs" onSubmit=${(event) => event.preventDefault()}>
    <input type="search" name="text" aria-label="Part of the name" placeholder="Search names" maxlength="200"
      defaultValue=${query.get("text") ?? ""} onInput=${onFilter} />
    <select name="status" aria-label="Status" value=${query.get("status") ?? ""} onChange=${onFilter}>
      <option value="">any status</option>
      ${STATUSES.map((status) => html`<option value=${status}>${status}</option>`)}
    </select>
    <select name="sort" aria-label="Order" value=${query.get("sort") ?? ""} onChange=${onFilter}>
      ${Object.entries(SORTS).map(([sort, words]) => html`<option value=${sort}>${words}</option>`)}
    </select>
    ${["model", "label"].filter((name) => query.get(name)).map((name) => html`
      <a key=${name} class="label" href=${link("/", query, { [name]: "", after: "" })} aria-label="Remove the filter ${name} ${query.get(name)}">${query.get(name)} ×</a>`)}
  </form>`;

/** Links, so that the browser's back button works. */
const Pages = ({ query, next }) => html`
  <p class="pages">
    ${query.has("after") && html`<a href=${link("/", query, { after: "" })}>First jobs</a>`}
    ${next && html`<a href=${link("/", query, { after: next })}>More jobs</a>`}
  </p>`;

const Choice = ({ chosen, onClear }) => html`
  <div class="row">
    ${chosen.length > 0 && html`<button class="quiet" onClick=${onClear}>Clear the selection</button>`}
    <button disabled=${chosen.length < 2 || chosen.length > MOST_COMPARED}
      onClick=${() => (location.hash = `#/compare/${chosen.join(",")}`)}>
      ${said(chosen.length)}
    </button>
  </div>`;

function said(number) {
  if (number < 2) return "Choose jobs to compare";
  return number > MOST_COMPARED ? `At most ${MOST_COMPARED} jobs` : `Compare ${number} jobs`;
}

/** The page of a project without jobs. */
class Welcome extends Component {
  state = { busy: false, problem: null };
  once = crypto.randomUUID?.() ?? String(Math.random()); // two clicks create one job

  run = async () => {
    this.setState({ busy: true, problem: null });
    try {
      const made = await postJson("jobs", { preset: "demo", name: "arithmetic demo" }, { headers: { "idempotency-key": this.once } });
      location.hash = `#/jobs/${made.id}`;
    } catch (problem) {
      this.setState({ busy: false, problem });
    }
  };

  render({ me }, { busy, problem }) {
    return html`
      <div class="panel empty">
        <h2>No jobs yet</h2>
        <p class="muted">The demo teaches a small model to add numbers in about a minute, here, with nothing to prepare.</p>
        ${me.key.scopes.includes("submit") && html`
          <p class="row"><button class="primary" disabled=${busy} onClick=${this.run}>Run the demo job</button> <a href="#/new">Write one of your own</a></p>`}
        ${problem && html`<p class="alert" role="alert">${problem.message}</p>`}
        <p class="muted small">Or from a terminal: <code>duet submit spec.yaml --watch</code></p>
      </div>`;
  }
}
