// The table of jobs, and texts about a job shared with other pages.
import { ago, integer, modelName, number, percent, ranFor } from "../ui/format.js";
import { Component, html } from "../ui/html.js";
import { Spark } from "../charts/sparkline.js";

export const Table = ({ jobs, chosen, onChoose }) => html`
  <table class="panel jobs">
    <thead>
      <tr>
        <th scope="col"><span class="unseen">Compare</span></th><th scope="col">Job</th><th scope="col">Status</th><th scope="col">Progress</th>
        <th scope="col" class="wide">Reward</th><th scope="col" class="number wider">Held-out</th>
        <th scope="col" class="number wide">Tied</th><th scope="col" class="wider">Ran for</th><th scope="col" class="wide">Created</th>
      </tr>
    </thead>
    <tbody>${jobs.map((job) => html`<${Row} key=${job.id} job=${job} isChosen=${chosen.includes(job.id)}
      minute=${Math.floor(Date.now() / 60_000)} onChoose=${onChoose} />`)}</tbody>
  </table>`;

class Row extends Component {
  /** Rendering fifty rows is slow: only changed ones are rendered, and all once a minute for the ages. */
  shouldComponentUpdate(next) {
    return Object.keys(next).some((name) => next[name] !== this.props[name]);
  }

  render({ job, isChosen, onChoose }) {
    const metrics = job.latest_metrics ?? {};
    return html`
      <tr>
        <td class="choice">
          <input type="checkbox" aria-label="Compare ${job.name}" checked=${isChosen}
            onChange=${(event) => onChoose(job.id, event.target.checked)} />
        </td>
        <th scope="row">
          <a href="#/jobs/${job.id}">${job.name}</a>
          <span class="muted small"><a class="plain" href="#/?model=${encodeURIComponent(modelName(job))}" title="Jobs of this model">${modelName(job)}</a>, group of ${job.spec?.algorithm?.group_size}</span>
          ${Object.entries(job.labels).map(([name, value]) => html` <${Label} key=${name} name=${name} value=${value} />`)}
        </th>
        <td><${Status} job=${job} /></td>
        <td><${Progress} job=${job} /></td>
        <td class="wide"><span class="trend"><${Spark} job=${job} /> ${number(metrics.reward)}</span></td>
        <td class="number wider">${percent(metrics["eval/accuracy"])}</td>
        <td class="number wide">${percent(metrics["groups/tied_fraction"])}</td>
        <td class="wider">${ranFor(job)}</td>
        <td class="wide">${ago(job.created_at)}<span class="muted small by">by ${job.owner}</span></td>
      </tr>`;
  }
}

const Label = ({ name, value }) => html`
  <a class="label" href="#/?label=${encodeURIComponent(`${name}:${value}`)}" title="Jobs with this label">${name}: ${value}</a>`;

const STOPPING = { cancel: "cancelling", kill: "killing", pause: "pausing" };

export const isOver = (job) => ["succeeded", "failed", "cancelled"].includes(job.status);

export const Status = ({ job }) => html`
  <span class="status ${job.status}">${(job.status === "running" && STOPPING[job.wanted]) || job.status}</span>`;

export function Progress({ job }) {
  const { step, total_steps: total } = job.progress ?? {};
  if (!total) return html`<span class="muted">${job.status === "queued" ? "waiting" : "–"}</span>`;
  return html`
    <progress value=${step ?? 0} max=${total} aria-label="Steps of ${job.name}"></progress>
    <span class="small muted tabular">${integer(step ?? 0)} / ${integer(total)}</span>`;
}
