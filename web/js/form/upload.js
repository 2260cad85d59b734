// Upload of a data file as soon as it is dropped or chosen.
import { checked, upload } from "../net/api.js";
import { beingChecked, percent } from "../ui/format.js";
import { Component, html } from "../ui/html.js";

export class Upload extends Component {
  state = { isOver: false, name: "", share: null, rows: null, problem: null };

  componentWillUnmount() {
    this.leaving?.abort();
  }

  over = (event) => {
    event.preventDefault();
    this.setState({ isOver: true });
  };

  drop = (event) => {
    event.preventDefault();
    this.setState({ isOver: false });
    this.send(event.dataTransfer.files);
  };

  choose = ({ target }) => this.send(target.files).finally(() => (target.value = ""));

  async send([file]) {
    if (!file || this.state.share !== null) return;
    const { signal } = (this.leaving = new AbortController());
    this.setState({ name: file.name, share: 0, rows: null, problem: null });
    try {
      const sent = await upload("files", file, { signal, onProgress: (share) => this.setState({ share }) });
      this.props.onDone(await checked(sent, { signal, onCheck: (rows) => this.setState({ rows }) }));
      this.setState({ share: null });
    } catch (problem) {
      this.setState({ share: null, problem: signal.aborted ? null : problem });
    }
  }

  render(_, { isOver, name, share, rows, problem }) {
    return html`
      <div class="drop ${isOver ? "over" : ""}" onDragOver=${this.over} onDragLeave=${() => this.setState({ isOver: false })} onDrop=${this.drop}>
        <label>
          <input type="file" class="unseen" accept=".jsonl,.ndjson,.json,.parquet" disabled=${share !== null} onChange=${this.choose} />
          <span>Drop a JSONL or Parquet file here, or <b>choose one</b></span>
        </label>
        ${share !== null && html`
          <p class="small"><progress value=${share} max="1" aria-label="Upload of ${name}"></progress> ${name}: ${share < 1 ? percent(share) : beingChecked(rows)}
            <button type="button" class="quiet" onClick=${() => this.leaving.abort()}>Stop</button></p>`}
        ${problem && html`
          <div class="error small" role="alert">
            ${(problem.errors.length ? problem.errors : [{ detail: problem.message }]).map(({ detail }) => html`<p>${name}: ${detail}</p>`)}
          </div>`}
      </div>`;
  }
}
