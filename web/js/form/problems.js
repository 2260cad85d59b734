// Problems of a new job, each with a link to its field.
import { idOf } from "./fields.js";
import { html } from "../ui/html.js";
import { parentOf } from "./json_pointer.js";

export const Findings = ({ checked: { errors, problem } }) => html`
  <div class="findings" role="status">
    ${errors.length > 0 && html`<p class="error">${errors.length === 1 ? "One setting needs" : `${errors.length} settings need`} your attention:</p>`}
    <ul>
      ${errors.map(({ pointer, detail }) => html`
        <li>
          <button type="button" class="quiet" onClick=${() => goTo(pointer)}>${pointer?.slice(1).replaceAll("/", " · ") || "The spec"}</button> ${detail}
        </li>`)}
    </ul>
    ${problem && html`<p class="error">${problem.message}</p>`}
  </div>`;

/** Scrolls to the nearest field, expanding its section. */
export function goTo(pointer = "") {
  let place;
  for (let at = pointer; !place && at; at = parentOf(at)) place = document.getElementById(idOf(at));
  place ??= document.querySelector("form.new textarea, form.new input");
  for (let fold = place?.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  place?.focus();
  place?.scrollIntoView({ block: "center" });
}
