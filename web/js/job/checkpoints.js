// The parts of a job's page that act on it or list what it left.
import { Actions, FORK } from "./actions.js";
import { download, getJson, getText } from "../net/api.js";
import { bytes, integer, sentence, time, visible } from "../ui/format.js";
import { Component, html } from "../ui/html.js";
import { scoreOf } from "./chart_table.js";
import { isOver, Status } from "./job_table.js";

const LOG_LINES = 200; // at first; each press of a button reads five times as many
const MOST_LOG_LINES = 100_000; // as the server gives
const LOG_MS = 5_000;

export function Checkpoints({ checkpoints, job, me }) {
  if (checkpoints.length === 0) return html`<p class="muted">None yet.</p>`;
  return html`
    <ul class="panel list">
      ${checkpoints.map((checkpoint) => html`<${Checkpoint} key=${checkpoint.id} checkpoint=${checkpoint} job=${job} me=${me} />`)}
    </ul>
    <p class="muted small">All files of the newest at once: <code>duet checkpoint ${job.id} --download DIR</code></p>`;
}

/** A checkpoint's files are asked for when it is opened: a list of checkpoints stays short. */
class Checkpoint extends Component {
  state = { files: null, problem: null };

  open = async ({ currentTarget }) => {
    if (!currentTarget.open || this.state.files) return;
    try {
      const { files } = await getJson(`checkpoints/${this.props.checkpoint.id}`);
      this.setState({ files, problem: null });
    } catch (problem) {
      this.setState({ problem });
    }
  };

  save = async (file) => {
    const path = file.path.split("/").map(encodeURIComponent).join("/");
    try {
      await download(`checkpoints/${this.props.checkpoint.id}/files/${path}`, file.path.split("/").at(-1));
    } catch (problem) {
      this.setState({ problem });
    }
  };

  saveAll = () => {
    const { id } = this.props.checkpoint;
    return download(`checkpoints/${id}/archive.tar`, `${id}.tar`);
  };

  render({ checkpoint, job, me }, { files, problem }) {
    return html`
      <li>
        <details onToggle=${this.open}>
          <summary>
            Step ${checkpoint.step} ${checkpoint.final && html`<span class="tag mixed">final</span>`}
            ${checkpoint.damaged && html`<span class="tag warn">damaged</span>`}
            <span class="muted small">
              ${checkpoint.metric != null && `${scoreOf(job).title}: ${scoreOf(job).format(checkpoint.metric)} · `}${bytes(checkpoint.bytes)} · ${time(checkpoint.created_at)}
            </span>
          </summary>
          ${problem && html`<p class="alert" role="alert">${problem.message}</p>`}
          <ul class="files">
            ${files?.map((file) => html`
              <li>
                <span class="mono">${file.path}</span> <span class="muted small">${bytes(file.bytes)}</span>
                <button class="quiet" onClick=${() => this.save(file)} aria-label="Download ${file.path}">Download</button>
              </li>`)}
          </ul>
          <button class="quiet" onClick=${this.saveAll}>Download all as one tar archive</button>
          <${Actions} job=${job} me=${me} checkpoints=${[checkpoint]} offers=${checkpoint.damaged ? [] : [FORK]} />
        </details>
      </li>`;
  }
}

export const Timeline = ({ entries }) => html`
  <ol class="panel list timeline">
    ${(entries ?? []).map((entry) => html`
      <li>
        <${Status} job=${entry} /> <span class="small">${sentence(entry.reason)}</span>
        <span class="muted small">${time(entry.at)}</span>
      </li>`)}
  </ol>`;

/** The end of the trainer's own output, read while it is open. */
export class LogTail extends Component {
  state = { text: "", lines: LOG_LINES };

  componentWillUnmount() {
    clearInterval(this.timer);
  }

  toggle = ({ currentTarget: { open } }) => {
    clearInterval(this.timer);
    if (open) this.timer = setInterval(() => isOver(this.props.job) || this.read(), LOG_MS);
    if (open) this.read();
  };

  older = () =>
    this.setState(({ lines }) => ({ lines: Math.min(MOST_LOG_LINES, lines * 5) }), () => this.read());

  async read() {
    try {
      const text = await getText(`jobs/${this.props.job.id}/logs?tail=${this.state.lines}`);
      this.setState({ text: text || "Nothing written yet." });
    } catch (problem) {
      this.setState({ text: problem.status === 404 ? "No log yet." : problem.message });
    }
  }

  render(_, { text, lines }) {
    const isWhole = text.split("\n").length <= lines || lines === MOST_LOG_LINES;
    return html`
      <details class="panel log" onToggle=${this.toggle}>
        <summary>Last ${integer(lines)} lines of the trainer's output, in the time zone of its worker</summary>
        ${!isWhole && html`<button class="quiet" onClick=${this.older}>Older lines</button>`}
        <pre class="text" tabindex="0" role="group" aria-label="Log">${visible(text)}</pre>
      </details>`;
  }
}
