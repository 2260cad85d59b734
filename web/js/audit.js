// Who changed what in the project, the newest first.
import { time } from "./format.js";
import { html } from "./html.js";
import { Listing } from "./listing.js";

export const AuditPage = ({ me }) => html`
  <h1>Changes</h1>
  <p class="muted lead">What the keys of the project ${me.project.name} have changed. The request’s id is in the server’s logs, too.</p>
  <${Listing} path="audit?limit=50">
    ${(records) => html`<ul class="panel list" aria-label="Changes">${records.map((record) => html`<${Change} key=${record.id} record=${record} />`)}</ul>`}
  <//>`;

const Change = ({ record: { at, action, object, key, session, request_id: request, address } }) => html`
  <li>
    <p class="row"><b>${action}</b> <span class="mono">${object}</span> <span class="muted small">${time(at)}</span></p>
    <p class="small muted">
      by ${key.name}${session ? ", signed in with a browser" : ", with the key itself"}${address && `, from ${address}`} · <span class="mono">${request}</span>
    </p>
  </li>`;
