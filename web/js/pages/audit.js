// Changes in the project, newest first, filtered by the address.
import { addressed, link } from "../ui/address.js";
import { time } from "../ui/format.js";
import { html } from "../ui/html.js";
import { Listing } from "../ui/paged_list.js";

const PATH = "/audit";
const ONLY = ["action", "object", "by"];

export const AuditPage = ({ me, query }) => html`
  <h1>Changes</h1>
  <p class="muted lead">What the keys of the project ${me.project.name} have changed. The request’s id is in the server’s logs, too.</p>
  <${Narrowed} query=${query} />
  <${Listing} key=${`${query}`} path=${`audit?${addressed(query, { limit: 50 })}`}>
    ${(records) => (records.length === 0
      ? html`<p class="panel empty muted">No matching changes. <a href=${`#${PATH}`}>Show all changes</a></p>`
      : html`<ul class="panel list" aria-label="Changes">${records.map((record) => html`<${Change} key=${record.id} record=${record} query=${query} />`)}</ul>`)}
  <//>`;

function Narrowed({ query }) {
  const names = ONLY.filter((name) => query.get(name));
  return names.length > 0 && html`
    <div class="filters">
      ${names.map((name) => html`
        <a key=${name} class="label" href=${link(PATH, query, { [name]: "" })} aria-label="Remove the filter ${name} ${query.get(name)}">${name} ${query.get(name)} ×</a>`)}
    </div>`;
}

const Change = ({ query, record: { at, action, object, key, session, request_id: request, address } }) => html`
  <li>
    <p class="row">
      <${Only} query=${query} name="action" value=${action}><b>${action}</b><//>
      <${Only} query=${query} name="object" value=${object}><span class="mono">${object}</span><//>
      <span class="muted small">${time(at)}</span>
    </p>
    <p class="small muted">
      by <${Only} query=${query} name="by" value=${key.id}>${key.name}<//>${session ? ", signed in with a browser" : ", with the key itself"}${address && `, from ${address}`} · <span class="mono">${request}</span>
    </p>
  </li>`;

const Only = ({ query, name, value, children }) => html`
  <a class="plain" href=${link(PATH, query, { [name]: value })} title="Filter by this value">${children}</a>`;
