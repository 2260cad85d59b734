// What the policy wrote: the newest groups, their completions side by side.
import { number, signed, visible } from "./format.js";
import { Component, html } from "./html.js";

const SHOWN = 4; // completions of a group before the rest folds away

export class Samples extends Component {
  state = { step: null }; // null follows the newest

  render({ log }, { step }) {
    const steps = log.sampleSteps();
    if (steps.length === 0) return html`<p class="muted">Samples appear with the first step.</p>`;
    const found = steps.indexOf(step);
    const at = found < 0 ? steps.length - 1 : found;
    const show = (index) => this.setState({ step: index === steps.length - 1 ? null : steps[index] });
    return html`
      <div class="stepper">
        <button onClick=${() => show(at - 1)} disabled=${at === 0} aria-label="Earlier step">←</button>
        <span class="tabular">Step ${steps[at]}</span>
        <button onClick=${() => show(at + 1)} disabled=${at === steps.length - 1} aria-label="Later step">→</button>
        <span class="muted small">${found < 0 ? "following the newest" : ""}</span>
      </div>
      ${log.samplesAt(steps[at]).map((group, i) => html`<${Group} key=${`${steps[at]}-${i}`} group=${group} />`)}`;
  }
}

function Group({ group }) {
  const tied = group.outcome === "tied";
  const cards = group.completions.map((completion, i) => html`<${Completion} completion=${completion} number=${i + 1} />`);
  return html`
    <article class="panel group">
      <header>
        <span class="tag ${tied ? "tied" : "mixed"}">${tied ? "tied: no gradient" : "mixed"}</span>
        <${Text} label="Prompt" text=${group.prompt} />
        <p class="small muted">Answer <span class="mono">${visible(String(group.answer ?? "–"))}</span></p>
      </header>
      <div class="completions">${cards.slice(0, SHOWN)}</div>
      ${cards.length > SHOWN && html`
        <details>
          <summary>${cards.length - SHOWN} more completions</summary>
          <div class="completions">${cards.slice(SHOWN)}</div>
        </details>`}
    </article>`;
}

function Completion({ completion, number: position }) {
  const { text, reward, rewards, advantage, num_tokens: tokens, finish_reason: finish } = completion;
  const parts = Object.entries(rewards ?? {});
  const sign = advantage > 0 ? "up" : advantage < 0 ? "down" : "level";
  return html`
    <div class="completion ${sign}" role="group" aria-label="Completion ${position}">
      <p class="scores">
        <span>reward <b>${number(reward)}</b></span>
        <span class="advantage">advantage <b>${signed(advantage)}</b></span>
      </p>
      <${Text} label="Text of completion ${position}" text=${text} />
      <p class="small muted">
        ${parts.length > 1 && parts.map(([name, value]) => `${name} ${number(value)} · `)}
        ${tokens} tokens${finish === "length" && html`, <b class="warn">cut off at the limit</b>`}
      </p>
    </div>`;
}

/** Text as the model wrote it; long ones scroll, by keyboard too. */
const Text = ({ label, text }) => html`
  <pre class="text" tabindex="0" role="group" aria-label=${label}>${text ? visible(text) : html`<i class="muted">(empty)</i>`}</pre>`;
