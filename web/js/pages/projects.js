// The server's projects, for keys with the scope server: limits, and the first key of each.
import { postJson, sendJson } from "../net/api.js";
import { Form } from "../ui/action.js";
import { Dialog } from "../ui/dialog.js";
import { ago, integer } from "../ui/format.js";
import { Component, html } from "../ui/html.js";
import { NewKey, Scopes } from "./keys.js";
import { Listing } from "../ui/paged_list.js";

export class ProjectsPage extends Component {
  state = { made: null, limited: null };

  render({ me }, { made, limited }) {
    return html`
      <h1>Projects</h1>
      <p class="muted lead">Each project has its own jobs, files and keys. Its limits apply to all its keys together.</p>
      <${Listing} path="projects?limit=100">
        ${(projects, reload) => html`
          <${Form} title="Create a project" yes="Create the project" does=${make}
            onDone=${({ key }) => { this.setState({ made: key }); reload(); }}>
            <label class="field">Name <input name="name" required maxlength="100" autocomplete="off" /></label>
            <${Limits} of=${{}} />
            <${Scopes} legend="Scopes of its first key" chosen=${["read", "submit"]} own=${me.key.scopes} />
          <//>
          <ul class="panel list">
            ${projects.map((project) => html`
              <${Project} key=${project.id} project=${project} isOwn=${project.id === me.project.id} onLimit=${() => this.setState({ limited: project })} />`)}
          </ul>
          ${limited && html`<${Quota} project=${limited} onClose=${() => this.setState({ limited: null })} onDone=${() => { this.setState({ limited: null }); reload(); }} />`}`}
      <//>
      ${made && html`<${NewKey} made=${made} onClose=${() => this.setState({ made: null })} />`}`;
  }
}

const limit = (form, name) => (form.get(name) === "" ? null : Number(form.get(name)));
const limits = (form) => ({ max_running: limit(form, "max_running"), max_queued: limit(form, "max_queued"), weight: Number(form.get("weight")) });
const make = (form) => postJson("projects", { name: form.get("name"), ...limits(form), scopes: form.getAll("scopes") });

const Limits = ({ of: { max_running: running, max_queued: queued, weight = 1 } }) => html`
  <fieldset>
    <legend>At most</legend>
    <label class="choice"><input class="few" name="max_running" type="number" min="0" max="2147483647" placeholder="any" defaultValue=${running} /> running jobs</label>
    <label class="choice"><input class="few" name="max_queued" type="number" min="0" max="2147483647" placeholder="any" defaultValue=${queued} /> waiting jobs</label>
    <label class="choice">weight <input class="few" name="weight" type="number" min="1" max="1000" required defaultValue=${weight} /> <span class="muted">number of jobs it runs for each job of a project of weight 1</span></label>
  </fieldset>`;

const Project = ({ project, isOwn, onLimit }) => html`
  <li class="file">
    <div class="title">
      <div>
        <h2>${project.name}${isOwn && html` <span class="tag mixed">yours</span>`}</h2>
        <p class="muted small">${atMost(project.max_running)} running, ${atMost(project.max_queued)} waiting, weight ${project.weight} · made ${ago(project.created_at)} · <span class="mono">${project.id}</span></p>
      </div>
      <div class="row acts"><button class="quiet" aria-label="Limits… ${project.name}" onClick=${onLimit}>Limits…</button></div>
    </div>
  </li>`;

const atMost = (number) => (number === null ? "any number" : `at most ${integer(number)}`);

const Quota = ({ project, onClose, onDone }) => html`
  <${Dialog} title="Limits of ${project.name}" onClose=${onClose}>
    <${Form} title="Jobs that already exceed a limit are kept" yes="Set the limits" onDone=${onDone} onLeave=${onClose}
      does=${(form) => sendJson("PUT", `projects/${project.id}/quota`, limits(form))}>
      <${Limits} of=${project} />
    <//>
  <//>`;
