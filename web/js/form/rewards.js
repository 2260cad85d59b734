// The rewards of a job: types, weights and settings.
import { Field, Labelled, Typed } from "./fields.js";
import { html } from "../ui/html.js";
import { at, put } from "./json_pointer.js";

/** The list is one setting: changing a part writes the whole list. */
export function Rewards({ form }) {
  const { schema } = form;
  const rewards = at(form.spec, "/rewards") ?? form.base.rewards;
  const isList = Array.isArray(rewards) && rewards.every((reward) => schema.reward(reward?.type, ""));
  if (!isList) return html`<${AsYaml} form=${form} />`; // written as text, in a form without fields
  const write = (changed) => form.change("/rewards", changed);
  const whole = { ...form, spec: { rewards }, base: {}, change: (pointer, value) => write(put({ rewards }, pointer, value).rewards) };
  const unused = schema.rewardTypes.find((type) => !rewards.some((reward) => reward.type === type));
  const errors = form.errors.filter(({ pointer }) => pointer === "/rewards");
  return html`
    ${errors.map(({ detail }) => html`<p class="error small">${detail}</p>`)}
    ${rewards.map((reward, i) => html`
      <${Reward} key=${`${i} ${reward.type}`} pointer=${`/rewards/${i}`} reward=${reward} form=${whole}
        onRemove=${rewards.length > 1 && (() => write(rewards.filter((_, other) => other !== i)))} />`)}
    <button type="button" onClick=${() => write([...rewards, { type: unused ?? "exact" }])}>Add a reward</button>`;
}

function Reward({ pointer, reward, form, onRemove }) {
  const { schema } = form;
  const section = schema.reward(reward.type, pointer);
  const choose = ({ target: { value: type } }) => form.change(pointer, { type, ...kept(reward) });
  return html`
    <div class="one-reward">
      <${Labelled} pointer=${`${pointer}/type`} label="Reward" help=${section.description} form=${form}>
        ${(about) => html`
          <div class="stepper">
            <select ...${about} value=${reward.type} onChange=${choose}>
              ${schema.rewardTypes.map((type) => html`<option value=${type}>${type}</option>`)}
            </select>
            ${onRemove && html`<button type="button" class="quiet" onClick=${onRemove}>Remove</button>`}
          </div>`}
      <//>
      <div class="fields">${schema.fields(section).map((field) => html`<${Field} key=${field.pointer} field=${field} form=${form} />`)}</div>
    </div>`;
}

/** Fields of every reward. */
function kept({ weight, name }) {
  return { ...(weight !== undefined && { weight }), ...(name !== undefined && { name }) };
}

const AsYaml = ({ form }) => html`
  <${Labelled} pointer="/rewards" label="Rewards" help="A list in YAML, such as [{type: math}]." form=${form}>
    ${(about) => html`
      <${Typed} field=${form.schema.fieldAt("/rewards")} value=${at(form.spec, "/rewards")} about=${about}
        onChange=${(value) => form.change("/rewards", value)} />`}
  <//>`;
