// Estimated cost of a job with its own group size, and with two and sixteen rollouts per prompt.
import { bytes, duration, integer, number, percent } from "../ui/format.js";
import { html } from "../ui/html.js";

const ROWS = [
  ["Rollouts", ({ rollouts }) => integer(rollouts)],
  ["Steps", ({ steps }) => integer(steps)],
  ["Tokens", ({ tokens }) => number(tokens)],
  ["Time", ({ seconds }) => duration(seconds)],
  ["Memory", ({ memory }) => (memory ? bytes(memory.total) : "–")],
];

/** `isOld`: computed from earlier settings, while the current ones are invalid. */
export function Estimate({ estimates, isOld, unknown }) {
  if (!estimates) return html`<p class="muted small">Shown once the settings are valid.</p>`;
  const [own] = estimates;
  const sizes = estimates.toSorted((one, other) => one.group_size - other.group_size);
  return html`
    <table class="estimate ${isOld ? "old" : ""}">
      <thead>
        <tr>
          <th scope="col">Group size</th>
          ${sizes.map((each) => html`
            <th scope="col" class=${each === own ? "own" : ""}>${each.group_size} <span class="small">${each === own ? "this job" : ""}</span></th>`)}
        </tr>
      </thead>
      <tbody>
        ${ROWS.map(([name, show]) => html`
          <tr>
            <th scope="row">${name}</th>
            ${sizes.map((each) => html`<td class=${each === own ? "own" : ""}>${show(each)}</td>`)}
          </tr>`)}
      </tbody>
    </table>
    <p class="small">${unknown ? `Not available for other group sizes: ${unknown}` : saving(own, estimates.find((each) => each.group_size === 16))}</p>
    <p class="muted small">${told(own)}</p>`;
}

function saving({ rollouts }, { rollouts: most }) {
  return rollouts < most ? `${percent(1 - rollouts / most)} fewer rollouts than with groups of 16.` : "";
}

/** The source of the numbers, or the reason for missing ones. */
function told({ rollouts, measured_on: jobs, memory, memory_unknown: unknown }) {
  if (rollouts === null) return "The data's size is unknown until a worker has fetched it from the hub.";
  const time = jobs === 0
    ? "Time and tokens are shown once a job with this model and group size has run here."
    : `Time and tokens from ${jobs === 1 ? "one job" : `${integer(jobs)} jobs`} with this model and group size that ran here.`;
  const place = memory?.device === "cuda" ? "of the GPU" : "of the trainer's process";
  return memory ? `${time} Memory: ${place}, with the ${memory.assumed_engine} engine.` : `${time} Memory: ${unknown}.`;
}
