// The project's API keys: name, scopes and last use.
import { del, postJson } from "../net/api.js";
import { ActionButton, Form } from "../ui/action.js";
import { Secret } from "../ui/dialog.js";
import { ago, time } from "../ui/format.js";
import { Component, html } from "../ui/html.js";
import { Listing } from "../ui/paged_list.js";

const SCOPES = {
  read: "read everything in the project",
  submit: "jobs and files",
  admin: "keys and webhooks of the project",
  server: "all projects and workers of the server",
};

export class KeysPage extends Component {
  state = { made: null };

  render({ me }, { made }) {
    return html`
      <div class="title"><h1>Keys</h1><p class="row links"><a href="#/audit">Audit log</a>${me.key.scopes.includes("server") && html` <a href="#/projects">Projects of this server</a>`}</p></div>
      <p class="muted lead">Keys of the project ${me.project.name}. Replace a key that others may have seen.</p>
      <${Listing} path="keys?limit=100">
        ${(keys, reload) => html`
          <${Keys} keys=${keys} me=${me} onChange=${reload} onMade=${(key) => { this.setState({ made: key }); reload(); }} />`}
      <//>
      ${made && html`<${NewKey} made=${made} onClose=${() => this.setState({ made: null })} />`}`;
  }
}

const Keys = ({ keys, me, onChange, onMade }) => html`
  <${Form} title="Create a key" yes="Create the key" does=${make} onDone=${onMade}>
    <label class="field">Name
      <input name="name" required maxlength="100" autocomplete="off" placeholder="Owner or purpose" />
    </label>
    <${Scopes} legend="May" chosen=${["read", "submit"]} own=${me.key.scopes} />
  <//>
  <ul class="panel list">
    ${keys.map((key) => html`<${Key} key=${key.id} item=${key} isOwn=${key.id === me.key.id} onChange=${onChange} onMade=${onMade} />`)}
  </ul>`;

const make = (form) => postJson("keys", { name: form.get("name"), scopes: form.getAll("scopes") });

/** `own`: scopes of the key signed in, the only ones that it can grant. */
export const Scopes = ({ legend, chosen, own }) => html`
  <fieldset>
    <legend>${legend}</legend>
    ${Object.entries(SCOPES).filter(([scope]) => own.includes(scope)).map(([scope, words]) => html`
      <label class="choice"><input type="checkbox" name="scopes" value=${scope} defaultChecked=${chosen.includes(scope)} /> <b>${scope}</b> <span class="muted">${words}</span></label>`)}
  </fieldset>`;

export const NewKey = ({ made, onClose }) => html`
  <${Secret} title="Key ${made.name}" value=${made.key} onClose=${onClose}>Its scopes: ${made.scopes.join(", ")}.<//>`;

const Key = ({ item, isOwn, onChange, onMade }) => {
  const isOver = item.revoked_at !== null || (item.expires_at !== null && Date.parse(item.expires_at) < Date.now());
  return html`
    <li class="file">
      <div class="title">
        <div>
          <h2 class=${isOver ? "muted" : ""}>${item.name}${isOwn && html` <span class="tag mixed">yours</span>`}${isOver && html` <span class="tag">${item.revoked_at ? "revoked" : "ended"}</span>`}</h2>
          <p class="muted small"><span class="mono">${item.prefix}…</span> · ${item.scopes.join(", ")} · made ${ago(item.created_at)} · ${story(item)}</p>
        </div>
        ${!isOver && html`
          <div class="row acts">
            ${!item.expires_at && html`
              <${ActionButton} label="Change…" of=${item.name} does=${() => postJson(`keys/${item.id}/rotate`)} onDone=${onMade}
                asks="A new key with the same name and scopes is created. The old one stays valid for a day, so that clients can switch." yes="Create the new key" />`}
            ${!isOwn && html`
              <${ActionButton} label="Revoke…" of=${item.name} does=${() => del(`keys/${item.id}`)} onDone=${onChange}
                asks="It stops working immediately, and this cannot be undone. Its jobs and files keep its name." yes="Revoke the key" />`}
          </div>`}
      </div>
    </li>`;
};

function story({ revoked_at: revoked, expires_at: ends, last_used_at: used }) {
  if (revoked) return html`revoked ${ago(revoked)}`;
  const use = used ? html`used ${ago(used)}` : "never used";
  return ends ? html`${use} · replaced by a new key, valid until ${time(ends)}` : use;
}
