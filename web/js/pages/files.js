// Data files: upload, preview, download, delete.
import { maySubmit } from "../net/session.js";
import { del, download, getJson } from "../net/api.js";
import { ActionButton } from "../ui/action.js";
import { ago, beingChecked, bytes, integer, visible } from "../ui/format.js";
import { Component, html } from "../ui/html.js";
import { Listing } from "../ui/paged_list.js";
import { Upload } from "../form/upload.js";

export const FilesPage = ({ me }) => html`
  <h1>Files</h1>
  <p class="muted lead">Data to train and evaluate on: JSON objects, one per line, or Parquet. Every row is checked; a large file's in the background.</p>
  <${Listing} path="files?limit=50">
    ${(files, reload) => html`
      ${maySubmit(me) && html`<${Upload} onDone=${reload} />`}
      ${files.length === 0
        ? html`<p class="panel empty muted">No files yet. Jobs can also train on the built-in data sets.</p>`
        : html`<ul class="panel list">${files.map((file) => html`<${File} key=${file.id} file=${file} me=${me} onChange=${reload} />`)}</ul>`}`}
  <//>`;

const File = ({ file, me, onChange }) => html`
  <li class="file">
    <div class="title">
      <div>
        <h2>${file.name}</h2>
        <p class="muted small">${holds(file)} · ${bytes(file.bytes)} · ${ago(file.created_at)} · <span class="mono">${file.id}</span></p>
      </div>
      <div class="row acts">
        <${ActionButton} label="Download" of=${file.name} does=${() => download(`files/${file.id}/content`, file.name)} />
        ${maySubmit(me) && html`
          <${ActionButton} label="Delete…" of=${file.name} does=${() => del(`files/${file.id}`)} onDone=${onChange}
            asks="This cannot be undone. Jobs that have ended are not affected." yes="Delete the file" />`}
      </div>
    </div>
    ${file.problems.map((problem) => html`<p class="small warn">${problem}</p>`)}
    ${file.status === "ready" && html`<${Preview} file=${file} />`}
  </li>`;

function holds({ status, num_rows: rows, num_rows_checked: checked }) {
  if (status === "failed") return "cannot be used";
  return status === "processing" ? beingChecked(checked) : `${integer(rows)} rows`;
}

/** The first rows, loaded when they are expanded. */
class Preview extends Component {
  state = { rows: null, problem: null };

  open = async ({ currentTarget: { open } }) => {
    if (!open || this.state.rows) return;
    try {
      const { data } = await getJson(`files/${this.props.file.id}/preview`);
      this.setState({ rows: data, problem: null });
    } catch (problem) {
      this.setState({ problem });
    }
  };

  render({ file }, { rows, problem }) {
    return html`
      <details onToggle=${this.open}>
        <summary class="small">First rows, fields ${file.fields.map(({ name }) => name).join(", ")}</summary>
        ${file.fields.filter((field) => field.problem).map((field) => html`
          <p class="small warn">A template cannot use <code>${field.name}</code>: ${field.problem}</p>`)}
        ${problem && html`<p class="alert" role="alert">${problem.message}</p>`}
        ${rows && html`<${Rows} rows=${rows} fields=${file.fields} name=${file.name} />`}
      </details>`;
  }
}

const Rows = ({ rows, fields, name }) => html`
  <div class="scroll" tabindex="0" role="group" aria-label="First rows of ${name}">
    <table class="rows">
      <thead><tr>${fields.map((field) => html`<th scope="col">${field.name}</th>`)}</tr></thead>
      <tbody>
        ${rows.map((row) => html`<tr>${fields.map((field) => html`<td>${shown(row[field.name])}</td>`)}</tr>`)}
      </tbody>
    </table>
  </div>`;

function shown(value) {
  if (value === undefined) return "";
  return visible(typeof value === "string" ? value : JSON.stringify(value));
}
