// The pair viewer: a step's sampled groups with their completions side by side, the data of 2-GRPO.
import { download, getJson } from "../net/api.js";
import { integer, number, signed, visible } from "../ui/format.js";
import { Component, html } from "../ui/html.js";
import { Tokens } from "./tokens.js";

const SHOWN = 4; // completions of a group shown before the rest is collapsed
const FILTERS = { "": "all groups", mixed: "mixed only", tied: "tied only" };

export class Samples extends Component {
  state = { step: null, outcome: "", shown: null, groups: [], problem: null }; // step null follows the newest

  componentDidMount() {
    this.load();
  }

  componentDidUpdate() {
    this.load();
  }

  componentWillUnmount() {
    this.left = true;
  }

  get step() {
    return this.state.step ?? this.props.newest;
  }

  /** One request at a time; the next one uses the then current selection. */
  async load() {
    const { jobId, newest, version } = this.props;
    const { step, state: { outcome } } = this;
    const wanted = `jobs/${jobId}/samples?limit=100&step=${step}${outcome && `&outcome=${outcome}`}`;
    const grown = step === newest ? version : null; // its groups may come one by one
    if (step === 0 || this.loading || (this.asked === wanted && this.grown === grown)) return;
    [this.loading, this.asked, this.grown] = [true, wanted, grown];
    const change = await getJson(wanted).then(
      ({ data }) => ({ groups: data, shown: step, problem: null }), (problem) => ({ problem }));
    this.loading = false;
    if (!this.left) this.setState(change);
  }

  /** Downloads every pair of the run with unequal rewards, for DPO. */
  save = () => download(`jobs/${this.props.jobId}/pairs.jsonl`, `${this.props.jobId}-pairs.jsonl`);

  go = (step) => {
    const { newest } = this.props;
    this.setState({ step: step >= newest ? null : Math.max(1, step) });
  };

  render({ newest }, { outcome, groups, shown, problem }) {
    if (newest === 0) return html`<p class="muted">Samples appear with the first step.</p>`;
    const { step } = this;
    return html`
      <div class="stepper">
        <button onClick=${() => this.go(step - 1)} disabled=${step <= 1} aria-label="Earlier step">←</button>
        <input type="range" min="1" max=${newest} value=${step} aria-label="Step of the samples"
          onInput=${(event) => this.go(Number(event.target.value))} />
        <button onClick=${() => this.go(step + 1)} disabled=${step >= newest} aria-label="Later step">→</button>
        <span class="tabular">Step ${integer(step)}</span>
        <select aria-label="Which groups" value=${outcome} onChange=${(event) => this.setState({ outcome: event.target.value })}>
          ${Object.entries(FILTERS).map(([value, label]) => html`<option value=${value}>${label}</option>`)}
        </select>
        <span class="muted small">${step === newest ? "following the newest" : ""}</span>
        <button class="quiet" onClick=${this.save}>Export as preference pairs</button>
      </div>
      ${problem && html`<p class="alert" role="alert">${problem.message}</p>`}
      ${shown === step && groups.length === 0 && html`<p class="muted">No ${outcome} group was logged for step ${integer(step)}.</p>`}
      ${groups.map((group) => html`<${Group} key=${group.seq} group=${group} />`)}`;
  }
}

function Group({ group }) {
  const { completions, outcome } = group;
  const tied = outcome === "tied";
  const best = Math.max(...completions.map(({ reward }) => reward));
  const verdict = ({ reward }) => (tied || completions.length !== 2 ? "" : reward === best ? "won" : "lost");
  const cards = completions.map((completion, i) => html`
    <${Completion} completion=${completion} number=${i + 1} verdict=${verdict(completion)} />`);
  return html`
    <article class="panel group">
      <header>
        <span class="tag ${outcome}">${tied ? "tied: no gradient" : "mixed"}</span>
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

function Completion({ completion, number: position, verdict }) {
  const { text, reward, rewards, advantage, num_tokens: count, finish_reason: finish, tokens } = completion;
  const sign = advantage > 0 ? "up" : advantage < 0 ? "down" : "level";
  const label = `Text of completion ${position}`;
  return html`
    <div class="completion ${sign}" role="group" aria-label="Completion ${position}">
      <p class="scores">
        ${verdict && html`<b class="verdict">${verdict}</b>`}
        <span>reward <b>${number(reward)}</b></span>
        <span class="advantage">advantage <b>${signed(advantage)}</b></span>
      </p>
      ${tokens ? html`<${Tokens} label=${label} tokens=${tokens} />` : html`<${Text} label=${label} text=${text} />`}
      <p class="small muted">
        ${Object.entries(rewards).map(([name, value]) => html`<span class="part">${name} <b>${number(value)}</b></span>`)}
        ${count} tokens${finish === "length" && html`, <b class="warn">cut off at the limit</b>`}
      </p>
    </div>`;
}

/** Text written by the model; long ones scroll, by keyboard too. */
const Text = ({ label, text }) => html`
  <pre class="text" tabindex="0" role="group" aria-label=${label}>${text ? visible(text) : html`<i class="muted">(empty)</i>`}</pre>`;
