// A job's timeline: its states, with reason and time.
import { sentence, time } from "../ui/format.js";
import { html } from "../ui/html.js";
import { Status } from "./job_table.js";

export const Timeline = ({ entries }) => html`
  <ol class="panel list timeline">
    ${(entries ?? []).map((entry) => html`
      <li>
        <${Status} job=${entry} /> <span class="small">${sentence(entry.reason)}</span>
        <span class="muted small">${time(entry.at)}</span>
      </li>`)}
  </ol>`;
