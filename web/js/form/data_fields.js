// Training data: built-in data, an uploaded file or another source; templates of prompt and answer.
import { postJson } from "../net/api.js";
import { Asking } from "./live_check.js";
import { Field, Labelled, Typed } from "./fields.js";
import { integer, visible } from "../ui/format.js";
import { Component, html } from "../ui/html.js";
import { at, isSame, merge } from "./json_pointer.js";
import { Upload } from "./upload.js";

const OTHER = "other…";
const SHOWN_ROWS = 3;

export class DataFields extends Component {
  state = { uploaded: [], previews: [], problem: null };
  asking = new Asking();

  componentDidMount() {
    this.look();
  }

  componentDidUpdate() {
    this.look();
  }

  componentWillUnmount() {
    this.asking.stop();
  }

  /** The first rows, rendered as for the policy. */
  look() {
    const data = merge(this.props.form.base.data, this.props.form.spec.data);
    if (isSame(data, this.asked)) return;
    this.asked = data;
    this.asking.ask(async (signal) => {
      const change = await postJson("datasets/preview", data, { signal }).then(
        ({ data: previews }) => ({ previews, problem: null }), (problem) => ({ previews: [], problem }));
      if (!signal.aborted) this.setState(change);
    });
  }

  take = (file) => {
    this.setState(({ uploaded }) => ({ uploaded: [file, ...uploaded] }));
    this.props.form.change("/data/train", file.id);
  };

  insert = (name) => {
    const { form } = this.props;
    const prompt = at(form.spec, "/data/prompt") ?? "";
    form.change("/data/prompt", `${prompt}{{${name}}}`);
  };

  render({ form }, { uploaded, previews, problem }) {
    const files = [...uploaded, ...form.files];
    const field = (pointer, more) => html`<${Field} key=${pointer} field=${form.schema.fieldAt(pointer)} form=${form} ...${more} />`;
    const names = previews.flatMap(({ fields }) => fields.map(({ name }) => name));
    return html`
      <div class="fields">
        <${Source} pointer="/data/train" label="Training data" form=${form} files=${files} />
        <${Source} pointer="/data/eval" label="Held-out data" form=${form} files=${files} />
      </div>
      <${Upload} onDone=${this.take} />
      <div class="fields">
        ${field("/data/prompt", { label: "Prompt template" })}
        ${field("/data/answer", { label: "Answer template" })}
        ${field("/data/answer_after", { label: "Answer marker" })}
      </div>
      ${names.length > 0 && html`
        <p class="chips small">
          <span class="muted">Fields of a row:</span>
          ${[...new Set(names)].map((name) => html`
            <button type="button" key=${name} onClick=${() => this.insert(name)} title="Insert into the prompt template">${`{{${name}}}`}</button>`)}
        </p>`}
      <${Preview} previews=${previews} problem=${problem} />`;
  }
}

/** A choice of available data; anything else is typed. */
class Source extends Component {
  state = { isOther: false };

  choose = ({ target: { value } }) => {
    const { form, pointer } = this.props;
    this.setState({ isOther: value === OTHER });
    if (value !== OTHER) form.change(pointer, value === "" ? none(form, pointer) : value);
  };

  render({ form, pointer, label, files }, { isOther }) {
    const field = form.schema.fieldAt(pointer);
    const [value, base] = [at(form.spec, pointer), at(form.base, pointer)];
    const current = value === undefined ? base : value;
    const isListed = current == null || [...form.datasets.map(({ name }) => name), ...files.map(({ id }) => id)].includes(current);
    const typing = isOther || !isListed;
    const usable = files.filter(({ status }) => status === "ready");
    return html`
      <${Labelled} pointer=${pointer} label=${label} form=${form}
        help=${typing ? "A hub data set as owner/name, or a list in YAML: [{source: openai/gsm8k, config: main}]" : described(current, form.datasets, files)}>
        ${(about) => html`
          <select ...${typing ? { "aria-label": `${label}: kind` } : about} value=${typing ? OTHER : current ?? ""} onChange=${this.choose}>
            ${field.isOptional && html`<option value="">none</option>`}
            <optgroup label="Built in">${form.datasets.map(({ name }) => html`<option value=${name}>${name}</option>`)}</optgroup>
            ${usable.length > 0 && html`
              <optgroup label="Your files">
                ${usable.map(({ id, name, num_rows: rows }) => html`<option value=${id}>${name} (${integer(rows)} rows)</option>`)}
              </optgroup>`}
            <option value=${OTHER}>another source…</option>
          </select>
          ${typing && html`<${Typed} field=${field} value=${value} base=${base} about=${about} onChange=${(typed) => form.change(pointer, typed)} />`}`}
      <//>`;
  }
}

const none = (form, pointer) => (at(form.base, pointer) == null ? undefined : null);

function described(current, datasets, files) {
  if (current == null) return "No evaluation: accuracy is not measured.";
  const file = files.find(({ id }) => id === current);
  return file ? `${file.name}, ${rowsOf(file)}.` : datasets.find(({ name }) => name === current)?.description;
}

const rowsOf = ({ status, num_rows: rows }) => (status === "ready" ? `${integer(rows)} rows` : status);

function Preview({ previews, problem }) {
  if (problem) return html`<p class="muted small">No preview: ${problem.message}</p>`;
  return previews.map(({ source, num_rows: count, rows }) => html`
    <figure class="preview" key=${source}>
      <figcaption class="muted small">
        ${count === null ? `${source}: no preview before the job starts.` : `The first of ${integer(count)} rows, as the model sees them:`}
      </figcaption>
      ${rows.slice(0, SHOWN_ROWS).map((row) => html`<${Row} key=${row.number} row=${row} />`)}
    </figure>`);
}

const Row = ({ row: { number, messages, answer, problem } }) => html`
  <div class="example" role="group" aria-label="Row ${number}">
    ${messages.map(({ role, content }) => html`<${Said} as=${messages.length > 1 ? role : "prompt"} text=${content} />`)}
    ${problem ? html`<p class="error small">${problem}</p>` : html`<${Said} as="answer" text=${answer} />`}
  </div>`;

/** Long texts scroll, by keyboard too. */
const Said = ({ as, text }) => html`
  <pre class="text" tabindex="0" role="group" aria-label=${as}><span class="muted">${as} </span>${visible(text)}</pre>`;
