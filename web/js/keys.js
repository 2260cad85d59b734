// The project's API keys: who has one, for what, and since when it was not used.
import { del, postJson } from "./api.js";
import { Act, Form } from "./act.js";
import { Secret } from "./dialog.js";
import { ago } from "./format.js";
import { Component, html } from "./html.js";
import { Listing } from "./listing.js";

const SCOPES = {
  read: "see everything of the project",
  submit: "jobs and files",
  admin: "keys, projects, webhooks and workers of the server",
};

export class KeysPage extends Component {
  state = { made: null };

  render({ me }, { made }) {
    return html`
      <div class="title"><h1>Keys</h1><a href="#/projects">Projects of this server</a></div>
      <p class="muted lead">Keys of the project ${me.project.name}. To change one for another make the new one, use it, and revoke the old.</p>
      <${Listing} path="keys?limit=100">
        ${(keys, reload) => html`
          <${Form} title="Make a key" yes="Make the key" does=${make} onDone=${(key) => { this.setState({ made: key }); reload(); }}>
            <label class="field">Name
              <input name="name" required maxlength="100" autocomplete="off" placeholder="Whose, or what for" />
            </label>
            <${Scopes} legend="May" chosen=${["read", "submit"]} />
          <//>
          <ul class="panel list">${keys.map((key) => html`<${Key} key=${key.id} item=${key} isOwn=${key.id === me.key.id} onChange=${reload} />`)}</ul>`}
      <//>
      ${made && html`<${NewKey} made=${made} onClose=${() => this.setState({ made: null })} />`}`;
  }
}

const make = (form) => postJson("keys", { name: form.get("name"), scopes: form.getAll("scopes") });

export const Scopes = ({ legend, chosen }) => html`
  <fieldset>
    <legend>${legend}</legend>
    ${Object.entries(SCOPES).map(([scope, words]) => html`
      <label class="choice"><input type="checkbox" name="scopes" value=${scope} defaultChecked=${chosen.includes(scope)} /> <b>${scope}</b> <span class="muted">${words}</span></label>`)}
  </fieldset>`;

export const NewKey = ({ made, onClose }) => html`
  <${Secret} title="Key ${made.name}" value=${made.key} onClose=${onClose}>Who has it may ${made.scopes.join(", ")}.<//>`;

const Key = ({ item, isOwn, onChange }) => html`
  <li class="file">
    <div class="title">
      <div>
        <h2 class=${item.revoked_at ? "muted" : ""}>${item.name}${isOwn && html` <span class="tag mixed">yours</span>`}${item.revoked_at && html` <span class="tag">revoked</span>`}</h2>
        <p class="muted small">
          <span class="mono">${item.prefix}…</span> · ${item.scopes.join(", ")} · made ${ago(item.created_at)} ·
          ${item.revoked_at ? html` revoked ${ago(item.revoked_at)}` : html` ${item.last_used_at ? html`used ${ago(item.last_used_at)}` : "never used"}`}
        </p>
      </div>
      ${!isOwn && !item.revoked_at && html`
        <div class="row acts">
          <${Act} label="Revoke…" of=${item.name} does=${() => del(`keys/${item.id}`)} onDone=${onChange}
            asks="From then on it opens nothing, and that cannot be taken back. Its name stays with what it made." yes="Revoke the key" />
        </div>`}
    </div>
  </li>`;
