// Results of the paper (arXiv 2510.00977): mean@32 of models trained on MATH with 2 and with 16 rollouts per prompt.
import { html } from "../ui/html.js";

const TESTS = ["MATH-500", "AMC23", "Minerva", "AIME25", "Olympiad"];
const MEASURED = [
  { model: "Qwen2.5-Math-1.5B", rows: [
    ["before training", null, 31.83, 34.3, 5.33, 3.64, 15.4],
    ["groups of 2", 2.05, 69.28, 49.53, 16.25, 9.48, 22.31],
    ["groups of 16", 8.53, 70.24, 51.25, 16.84, 10.1, 23.11],
    ["groups of 2, ties resampled", 3.71, 71.36, 51.64, 18.74, 7.29, 23.85]] },
  { model: "Qwen2.5-Math-7B", rows: [
    ["groups of 2", 2.43, 75.23, 64.6, 23.13, 12.81, 26.39],
    ["groups of 16", 9.3, 75.9, 61.79, 22.81, 13.23, 25.99],
    ["groups of 2, ties resampled", 5.78, 76.89, 61.64, 24.9, 11.67, 25.39]] },
];
const exact = (value) => (value === null ? "–" : value.toFixed(2));

export const Paper = () => html`
  <details class="panel log">
    <summary>The paper's own numbers</summary>
    <div class="scroll" tabindex="0" role="group" aria-label="The paper's own numbers">
      <table class="jobs">
        <thead>
          <tr>
            <th scope="col">Model, trained on MATH</th><th scope="col" class="number">Hours</th>
            ${TESTS.map((test) => html`<th scope="col" class="number">${test}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${MEASURED.flatMap(({ model, rows }) => rows.map(([how, ...values]) => html`
            <tr>
              <th scope="row">${model}, ${how}</th>
              ${values.map((value) => html`<td class="number">${exact(value)}</td>`)}
            </tr>`))}
        </tbody>
      </table>
    </div>
  </details>`;
