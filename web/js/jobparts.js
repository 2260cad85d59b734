// The parts of a job's page that act on it or list what it left.
import { download, getJson, getText, postJson } from "./api.js";
import { bytes, time, visible } from "./format.js";
import { Component, html } from "./html.js";
import { isOver, Status } from "./jobs.js";

const LOG_LINES = 200;
const LOG_MS = 5_000;

/** Cancel asks once; while a cancel is under way, it offers to kill instead. */
export class Cancel extends Component {
  state = { asking: false, problem: null };

  async send(query) {
    try {
      this.props.onChange(await postJson(`jobs/${this.props.job.id}/cancel${query}`));
      this.setState({ asking: false, problem: null });
    } catch (problem) {
      this.setState({ problem });
    }
  }

  render({ job }, { asking, problem }) {
    const kill = job.wanted === "cancel";
    if (job.wanted === "kill") return null;
    if (!asking) return html`<button onClick=${() => this.setState({ asking: true })}>${kill ? "Kill…" : "Cancel…"}</button>`;
    return html`
      <div class="ask" role="group" aria-label="Confirm">
        <span class="small">${problem?.message ?? (kill ? "End it now, without a checkpoint?" : "Finish the step, save, then stop?")}</span>
        <button class="danger" onClick=${() => this.send(kill ? "?kill=true" : "")}>${kill ? "Kill the job" : "Cancel the job"}</button>
        <button onClick=${() => this.setState({ asking: false, problem: null })}>Keep running</button>
      </div>`;
  }
}

export function Checkpoints({ checkpoints, jobId }) {
  if (checkpoints.length === 0) return html`<p class="muted">None yet.</p>`;
  return html`
    <ul class="panel list">
      ${checkpoints.map((checkpoint) => html`<${Checkpoint} key=${checkpoint.id} checkpoint=${checkpoint} />`)}
    </ul>
    <p class="muted small">All files of the newest at once: <code>duet checkpoint ${jobId} --download DIR</code></p>`;
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

  render({ checkpoint }, { files, problem }) {
    return html`
      <li>
        <details onToggle=${this.open}>
          <summary>
            Step ${checkpoint.step} ${checkpoint.final && html`<span class="tag mixed">final</span>`}
            <span class="muted small">${bytes(checkpoint.bytes)} · ${time(checkpoint.created_at)}</span>
          </summary>
          ${problem && html`<p class="alert" role="alert">${problem.message}</p>`}
          <ul class="files">
            ${files?.map((file) => html`
              <li>
                <span class="mono">${file.path}</span> <span class="muted small">${bytes(file.bytes)}</span>
                <button class="quiet" onClick=${() => this.save(file)} aria-label="Download ${file.path}">Download</button>
              </li>`)}
          </ul>
        </details>
      </li>`;
  }
}

export const Timeline = ({ entries }) => html`
  <ol class="panel list timeline">
    ${(entries ?? []).map((entry) => html`
      <li>
        <${Status} job=${entry} /> <span class="small">${entry.reason}</span>
        <span class="muted small">${time(entry.at)}</span>
      </li>`)}
  </ol>`;

/** The end of the trainer's own output, read while it is open. */
export class LogTail extends Component {
  state = { text: "" };

  componentWillUnmount() {
    clearInterval(this.timer);
  }

  toggle = ({ currentTarget: { open } }) => {
    clearInterval(this.timer);
    if (open) this.timer = setInterval(() => isOver(this.props.job) || this.read(), LOG_MS);
    if (open) this.read();
  };

  async read() {
    try {
      const text = await getText(`jobs/${this.props.job.id}/logs?tail=${LOG_LINES}`);
      this.setState({ text: text || "Nothing written yet." });
    } catch (problem) {
      this.setState({ text: problem.status === 404 ? "No log yet." : problem.message });
    }
  }

  render(_, { text }) {
    return html`
      <details class="panel log" onToggle=${this.toggle}>
        <summary>Last ${LOG_LINES} lines of the trainer's output</summary>
        <pre class="text" tabindex="0" role="group" aria-label="Log">${visible(text)}</pre>
      </details>`;
  }
}
