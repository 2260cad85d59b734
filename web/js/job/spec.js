// A job's spec: its differences from the preset, the complete spec, and snippets to submit it again.
import { getJson } from "../net/api.js";
import { Component, html } from "../ui/html.js";
import { beyondPreset } from "../form/catalogue.js";
import { at, join } from "../form/json_pointer.js";
import { SpecSchema } from "../form/schema.js";
import { WRITINGS } from "../form/spec_snippets.js";

/** Loaded when it is expanded, since most readers do not need it. */
export class Spec extends Component {
  state = { base: null, written: null, problem: null, isWhole: false, writing: "YAML", copied: false };

  open = async ({ currentTarget }) => {
    if (!currentTarget.open || this.state.base) return;
    const { spec, name } = this.props.job;
    try {
      const [document, { data: presets }] = await Promise.all([getJson("schema"), getJson("presets")]);
      const schema = new SpecSchema(document);
      const base = schema.base(presets.find((preset) => preset.name === spec.preset));
      this.setState({ base, written: { name, ...beyondPreset(spec, { schema, base }) }, problem: null });
    } catch (problem) {
      this.setState({ problem });
    }
  };

  choose = ({ target }) => this.setState({ writing: target.value, copied: false });
  copy = async () => {
    await navigator.clipboard.writeText(this.text);
    this.setState({ copied: true });
  };

  get text() {
    return WRITINGS[this.state.writing](this.state.written);
  }

  render({ job }, { base, written, problem }) {
    return html`
      <details class="panel log" onToggle=${this.open}>
        <summary>Settings, and how to ask for them again</summary>
        ${problem && html`<p class="alert" role="alert">${problem.message}</p>`}
        ${base && html`<${Settings} job=${job} base=${base} written=${written} isWhole=${this.state.isWhole}
          onWhole=${(event) => this.setState({ isWhole: event.target.checked })} />`}
        ${base && this.again()}
      </details>`;
  }

  again() {
    const { writing, copied } = this.state;
    return html`
      <div class="stepper">
        <select aria-label="Written as" value=${writing} onChange=${this.choose}>
          ${Object.keys(WRITINGS).map((name) => html`<option value=${name}>As ${name}</option>`)}
        </select>
        ${navigator.clipboard && html`<button onClick=${this.copy}>Copy</button>`}
        <span class="muted small" role="status">${copied && "Copied."}</span>
      </div>
      <pre class="text" tabindex="0" role="group" aria-label="The job as ${writing}">${this.text}</pre>`;
  }
}

function Settings({ job: { spec }, base, written, isWhole, onWhole }) {
  const { name, preset, ...own } = written;
  const differing = new Set(leaves(own).map(([pointer]) => pointer));
  const all = leaves(spec);
  const shown = isWhole ? all : all.filter(([pointer]) => differing.has(pointer));
  return html`
    <div class="stepper">
      <span>${preset ? html`Preset <b>${preset}</b>, and ` : ""}${differing.size} settings of its own.</span>
      <label class="small"><input type="checkbox" checked=${isWhole} onChange=${onWhole} /> All settings</label>
    </div>
    <div class="scroll" tabindex="0" role="group" aria-label="Settings">
      <table class="jobs">
        <thead><tr><th scope="col">Setting</th><th scope="col">Value</th><th scope="col">In the preset</th></tr></thead>
        <tbody>
          ${shown.map(([pointer, value]) => html`
            <tr>
              <th scope="row" class="mono">${pointer.slice(1).replaceAll("/", ".")}</th>
              <td class="mono">${differing.has(pointer) ? html`<b>${said(value)}</b>` : said(value)}</td>
              <td class="mono muted">${differing.has(pointer) ? said(at(base, pointer)) : "the same"}</td>
            </tr>`)}
        </tbody>
      </table>
    </div>`;
}

const isSection = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

/** [[pointer, value], …] of all settings; a list counts as one. */
const leaves = (section, under = "") => Object.entries(section).flatMap(([name, value]) =>
  (isSection(value) ? leaves(value, join(under, name)) : [[join(under, name), value]]));

const said = (value) => (value === undefined || value === null ? "none" : typeof value === "string" ? value : JSON.stringify(value));
