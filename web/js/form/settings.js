// The form of a new job: preset, common settings, and the rest of the schema in collapsed sections.
import { DataFields } from "./data_fields.js";
import { Field, Labelled, Typed } from "./fields.js";
import { html } from "../ui/html.js";
import { at } from "./json_pointer.js";
import { Rewards } from "./rewards.js";

const TRAINING = [
  "/algorithm/group_size", "/algorithm/prompts_per_step", "/rollout/max_tokens", "/budget/epochs", "/optimizer/learning_rate", "/budget/max_steps",
];
const DATA = ["/data/train", "/data/eval", "/data/prompt", "/data/answer", "/data/answer_after"];
/** Settings shown outside the collapsed sections. */
export const ABOVE = new Set(["/name", "/preset", "/model/source", "/rewards", ...DATA, ...TRAINING]);

export function Presets({ form }) {
  const { spec, presets, presetOf } = form;
  const chosen = spec && presetOf(spec)?.name;
  const errors = form.errors.filter(({ pointer }) => pointer === "/preset");
  return html`
    <fieldset class="panel presets">
      <legend>Start from</legend>
      ${errors.map(({ detail }) => html`<p class="error small">${detail}</p>`)}
      ${presets.map(({ name, description }) => html`
        <label key=${name} class="preset">
          <input type="radio" name="preset" value=${name} checked=${name === chosen} onChange=${() => form.change("/preset", name)} />
          <b>${name}</b> <span class="muted small">${description}</span>
        </label>`)}
    </fieldset>`;
}

export function Settings({ form }) {
  const { schema } = form;
  const field = (pointer) => html`<${Field} key=${pointer} field=${schema.fieldAt(pointer)} form=${form} />`;
  const others = schema.fields(schema.root).filter(({ pointer }) => !ABOVE.has(pointer));
  return html`
    <section class="panel">
      <h2>Job and model</h2>
      <div class="fields">${field("/name")}<${ModelField} form=${form} /></div>
    </section>
    <section class="panel"><h2>Data</h2><${DataFields} form=${form} /></section>
    <section class="panel"><h2>Rewards</h2><${Rewards} form=${form} /></section>
    <section class="panel"><h2>Training</h2><div class="fields">${TRAINING.map(field)}</div></section>
    <section class="panel">
      <h2>All other settings</h2>
      <div class="fields">${others.filter(({ kind }) => kind !== "section").map(({ pointer }) => field(pointer))}</div>
      ${others.filter(({ kind }) => kind === "section").map(({ pointer }) => field(pointer))}
    </section>`;
}

function ModelField({ form }) {
  const field = form.schema.fieldAt("/model/source");
  return html`
    <${Labelled} pointer=${field.pointer} label="Model" form=${form}
      help="A built-in model, a hub id such as Qwen/Qwen2.5-0.5B-Instruct, a checkpoint's id, or a folder of the server.">
      ${(about) => html`
        <${Typed} field=${field} value=${at(form.spec, field.pointer)} base=${at(form.base, field.pointer)} about=${about} list="models"
          onChange=${(value) => form.change(field.pointer, value)} />
        <datalist id="models">
          ${form.models.map(({ name, description }) => html`<option value=${name}>${description}</option>`)}
        </datalist>`}
    <//>`;
}
