// A job's checkpoints: their files, their downloads, and a fork of each.
import { Actions, FORK } from "./actions.js";
import { download, getJson } from "../net/api.js";
import { bytes, time } from "../ui/format.js";
import { Component, html } from "../ui/html.js";
import { scoreOf } from "./chart_table.js";

export function Checkpoints({ checkpoints, job, me }) {
  if (checkpoints.length === 0) return html`<p class="muted">None yet.</p>`;
  return html`
    <ul class="panel list">
      ${checkpoints.map((checkpoint) => html`<${Checkpoint} key=${checkpoint.id} checkpoint=${checkpoint} job=${job} me=${me} />`)}
    </ul>
    <p class="muted small">All files of the newest checkpoint: <code>duet checkpoint ${job.id} --download DIR</code></p>`;
}

/** One checkpoint; its files are listed when it is expanded. */
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
