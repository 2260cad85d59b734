// A place to drop a data file on, or to choose one, with the progress of its upload.
import { upload } from "./api.js";
import { bytes, percent } from "./format.js";
import { Component, html } from "./html.js";

/** `onUploaded` is handed the file as the server has it. */
export class Dropzone extends Component {
  state = { sending: null, part: 0, problem: null, isOver: false };

  componentWillUnmount() {
    this.leaving?.abort();
  }

  async send(file) {
    if (!file || this.state.sending) return;
    const { signal } = (this.leaving = new AbortController());
    this.setState({ sending: file, part: 0, problem: null });
    try {
      const made = await upload("files", file, { signal, onProgress: (part) => this.setState({ part }) });
      this.setState({ sending: null });
      this.props.onUploaded(made);
    } catch (problem) {
      this.setState({ sending: null, problem: signal.aborted ? null : problem });
    }
  }

  choose = ({ target }) => {
    this.send(target.files[0]);
    target.value = ""; // the same file again, once mended, is a change too
  };

  over = (event) => {
    event.preventDefault();
    this.setState({ isOver: event.type === "dragover" });
  };

  drop = (event) => {
    this.over(event);
    this.send(event.dataTransfer.files[0]);
  };

  render(_, { sending, part, problem, isOver }) {
    return html`
      <div class="panel dropzone ${isOver ? "over" : ""}" onDragOver=${this.over} onDragLeave=${this.over} onDrop=${this.drop}>
        ${sending ? html`<${Sending} file=${sending} part=${part} onStop=${() => this.leaving.abort()} />` : html`
          <label><input type="file" accept=".jsonl,.json,.ndjson,.parquet" aria-describedby="file-help" onChange=${this.choose} /> <b>Upload a file</b>, or drop it here</label>
          <p class="muted small" id="file-help">JSON objects, one a line, or Parquet. Every line is checked, and a bad one is named.</p>`}
      </div>
      ${problem && html`<p class="alert" role="alert">${problem.message}</p>`}`;
  }
}

const Sending = ({ file, part, onStop }) => html`
  <p>${file.name}, ${bytes(file.size)}: ${part < 1 ? percent(part) : "all sent, being checked…"}</p>
  <progress value=${part} max="1" aria-label="Upload of ${file.name}"></progress>
  <button class="quiet" onClick=${onStop}>Stop</button>`;
