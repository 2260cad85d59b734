// Fields of a form, made from the spec's schema. Defaults are shown as placeholders.
import { Component, html } from "../ui/html.js";
import { at, isSame, isWithin, join } from "./json_pointer.js";
import { isLong, labelOf } from "./schema.js";
import { readValue, writeValue } from "./spec_text.js";

export const idOf = (pointer) => `field${pointer}`;

/**
 * `form`: shared by all fields: `spec` as written, `base` (defaults), `errors` of the server, `change(pointer, value)`.
 */
export function Field({ field, form, label = labelOf(field.name), children }) {
  if (field.kind === "section") return html`<${Section} field=${field} form=${form} />`;
  const value = at(form.spec, field.pointer);
  const base = at(form.base, field.pointer) ?? field.base;
  return html`
    <${Labelled} pointer=${field.pointer} label=${label} hint=${field.bounds} help=${field.description} form=${form}>
      ${(about) => html`
        <${field.kind === "choice" ? Choice : Typed} key=${field.pointer} field=${field} value=${value} base=${base} about=${about}
          onChange=${(changed) => form.change(field.pointer, changed)} />`}
    <//>
    ${children}`;
}

/** A control with its label, its help and the server's errors. */
export function Labelled({ pointer, label, hint, help, form, children }) {
  const id = idOf(pointer);
  const errors = form.errors.filter((error) => isWithin(error.pointer ?? "", pointer));
  const describedBy = [help && `${id}-help`, errors.length > 0 && `${id}-error`].filter(Boolean).join(" ");
  const about = { id, "aria-describedby": describedBy || undefined, "aria-invalid": errors.length > 0 || undefined };
  return html`
    <div class="field">
      <label for=${id}>${label}${hint && html` <span class="muted small">${hint}</span>`}</label>
      ${children(about)}
      ${help && html`<p id=${`${id}-help`} class="muted small">${prose(help)}</p>`}
      ${errors.length > 0 && html`<p id=${`${id}-error`} class="error small">${errors.map(({ detail }) => detail).join("; ")}</p>`}
    </div>`;
}

/** A description, with text in backticks as code. */
const prose = (text) => text.split("`").map((part, i) => (i % 2 ? html`<code>${part}</code>` : part));

function Choice({ field: { choices, isOptional }, value, base, about, onChange }) {
  const all = isOptional ? [null, ...choices] : choices;
  const chosen = all.findIndex((choice) => isSame(choice, value));
  return html`
    <select ...${about} value=${value === undefined ? "" : chosen} onChange=${({ target }) => onChange(all[target.value])}>
      <option value="">${shown(base)} (default)</option>
      ${value !== undefined && chosen < 0 && html`<option value=${-1}>${writeValue(value)}</option>`}
      ${all.map((choice, i) => html`<option value=${i}>${shown(choice)}</option>`)}
    </select>`;
}

const shown = (choice) => (choice === true ? "yes" : choice === false ? "no" : choice == null ? "none" : String(choice));

/** Text as typed; other values as YAML. The typed text is kept while it parses to the value. */
export class Typed extends Component {
  state = { typed: "" };

  type = ({ target }) => {
    this.setState({ typed: target.value });
    this.props.onChange(this.meant(target.value));
  };

  meant(typed) {
    return this.props.field.kind === "text" ? typed || undefined : readValue(typed);
  }

  render({ field: { kind, pointer }, value, base, about, list }, { typed }) {
    const written = kind === "text" && typeof value === "string" ? value : writeValue(value);
    const text = isSame(this.meant(typed), value) ? typed : written;
    const placeholder = base == null ? "none" : typeof base === "string" ? base : writeValue(base);
    const control = { ...about, value: text, placeholder, spellcheck: false, autocomplete: "off", onInput: this.type };
    return isLong(pointer) || text.includes("\n")
      ? html`<textarea ...${control} rows="1"></textarea>`
      : html`<input ...${control} list=${list} inputmode=${typeof base === "number" ? "decimal" : undefined} />`;
  }
}

/** A collapsed section of the spec; an optional one is enabled first. */
function Section({ field, form }) {
  const { pointer, name, isOptional } = field;
  const written = at(form.spec, pointer);
  const isOn = !isOptional || (written ?? at(form.base, pointer)) != null;
  const errors = form.errors.filter((error) => error.pointer === pointer);
  const fields = form.schema.fields(field).filter((each) => !form.above.has(each.pointer));
  return html`
    <details class="section">
      <summary id=${idOf(pointer)}>
        ${labelOf(name)} <span class="muted small">${field.description}</span>
        ${numWritten(written, pointer, form.above) > 0 && html`<span class="tag">changed</span>`}
      </summary>
      ${errors.map(({ detail }) => html`<p class="error small">${detail}</p>`)}
      ${isOptional && html`
        <label class="check">
          <input type="checkbox" checked=${isOn} onChange=${({ target }) => form.change(pointer, turned(target.checked, at(form.base, pointer)))} />
          Use it
        </label>`}
      ${isOn && html`<div class="fields">${fields.map((each) => html`<${Field} key=${each.pointer} field=${each} form=${form} />`)}</div>`}
    </details>`;
}

const turned = (isOn, base) => ((base != null) === isOn ? undefined : isOn ? {} : null);

/** Settings written in a section, without those shown above. */
function numWritten(written, pointer, above) {
  if (written === undefined || above.has(pointer)) return 0;
  if (written === null || typeof written !== "object" || Array.isArray(written)) return 1;
  return Object.entries(written).reduce((sum, [name, value]) => sum + numWritten(value, join(pointer, name), above), 0);
}
