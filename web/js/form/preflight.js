// Scores of known right and wrong completions by the rewards.
import { number } from "../ui/format.js";
import { html } from "../ui/html.js";

const KINDS = ["right", "wrong", "empty", "huge"];

/** `isOld`: computed from earlier settings, while the current ones are invalid. */
export function Preflight({ preflight, isOld }) {
  if (!preflight) return "";
  if (preflight.not_tried) return html`<p class="muted small">The rewards were not tested: ${preflight.not_tried}</p>`;
  return html`
    <h2>Rewards, tried</h2>
    <table class="estimate ${isOld ? "old" : ""}">
      <thead><tr><th scope="col">Completion</th>${KINDS.map((kind) => html`<th scope="col">${kind}</th>`)}</tr></thead>
      <tbody>
        ${preflight.rewards.map((tried) => html`
          <tr><th scope="row">${tried.reward}</th>${KINDS.map((kind) => html`<td>${number(mean(tried[kind]?.scores))}</td>`)}</tr>`)}
      </tbody>
    </table>
    ${preflight.left_out.map((reward) => html`
      <p class="muted small"><b>${reward}:</b> calls a service, which the form does not: try it by <code>duet rewards try</code>.</p>`)}
    ${preflight.rewards.flatMap(({ reward, warnings }) => warnings.map((warning) => html`
      <p class="warn small"><b>${reward}:</b> ${warning}</p>`))}`;
}

/** The mean of the available scores. */
function mean(scores = []) {
  const known = scores.filter((score) => score !== null);
  return known.length ? known.reduce((sum, score) => sum + score) / known.length : null;
}
