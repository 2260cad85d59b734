// A job's log, record by record, filtered by kind.
import { getJson } from "../net/api.js";
import { integer, time, visible } from "../ui/format.js";
import { Component, html } from "../ui/html.js";

const PAGE = 100;
const HAPPENINGS = ["status", "phase", "resumed", "checkpoint", "message", "end"];

/** Filters: kinds (none: all), and whether to start from the log's end, for kinds written at every step. */
const FILTERS = {
  "What happened": { kinds: HAPPENINGS },
  Evaluations: { kinds: ["eval"] },
  "Newest metrics": { kinds: ["metric"], isFromEnd: true },
  "Newest samples": { kinds: ["sample"], isFromEnd: true },
  "Newest records": { kinds: [], isFromEnd: true },
};

export class Records extends Component {
  state = { filter: "What happened", records: [], next: null, problem: null };
  isShown = false;

  componentDidUpdate({ job }) {
    if (this.isShown && job.last_seq !== this.props.job.last_seq && this.state.next === null) this.more();
  }

  componentWillUnmount() {
    this.isShown = false;
  }

  toggle = ({ currentTarget: { open } }) => {
    this.isShown = open;
    if (open) this.restart(this.state.filter);
  };

  restart(filter) {
    const from = FILTERS[filter].isFromEnd ? Math.max(0, this.props.job.last_seq - PAGE) : 0;
    this.setState({ filter, records: [], next: null }, () => this.read(filter, from));
  }

  more = () => this.read(this.state.filter, this.state.records.at(-1)?.seq ?? 0);

  async read(filter, after) {
    const kinds = FILTERS[filter].kinds.map((kind) => `&kind=${kind}`).join("");
    try {
      const { data, next } = await getJson(`jobs/${this.props.job.id}/records?after=${after}&limit=${PAGE}${kinds}`);
      if (!this.isShown || filter !== this.state.filter) return;
      const known = this.state.records.filter(({ seq }) => seq <= after);
      this.setState({ records: [...known, ...data], next, problem: null });
    } catch (problem) {
      this.setState({ problem });
    }
  }

  render(_, { filter, records, next, problem }) {
    return html`
      <details class="panel log" onToggle=${this.toggle}>
        <summary>Records of the log</summary>
        <div class="stepper">
          <select aria-label="Which records" value=${filter} onChange=${({ target }) => this.restart(target.value)}>
            ${Object.keys(FILTERS).map((name) => html`<option>${name}</option>`)}
          </select>
        </div>
        ${problem && html`<p class="alert" role="alert">${problem.message}</p>`}
        <ol class="records" aria-label="Records">${records.map((record) => html`<${Row} key=${record.seq} record=${record} />`)}</ol>
        ${next && html`<button class="quiet" onClick=${this.more}>Later records</button>`}
      </details>`;
  }
}

const Row = ({ record: { seq, kind, step, attempt, at, payload } }) => html`
  <li>
    <span class="muted small tabular">${integer(seq)} · ${time(at)}</span>
    <span class="tag">${kind}</span>
    <span class="small muted">${step != null && `step ${integer(step)}, `}attempt ${attempt}</span>
    <span class="mono">${said(payload)}</span>
  </li>`;

/** A record's content in one line; a sample's texts are in the pair viewer. */
const said = ({ completions, ...payload }) => visible(Object.entries(payload)
  .map(([name, value]) => `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`)
  .concat(completions ? [`${completions.length} completions`] : []).join(" · "));
