// Workers and their jobs, the queues, and the reasons for waits.
import { postJson } from "../net/api.js";
import { ActionButton } from "../ui/action.js";
import { ago, bytes, duration, sentence, time } from "../ui/format.js";
import { html } from "../ui/html.js";
import { Listing } from "../ui/paged_list.js";

const REFRESH_MS = 4_000;
const MOST_JOBS = 100; // the API's page limit

export const FleetPage = ({ me }) => html`
  <h1>Fleet</h1>
  <h2>Queues</h2>
  <${Listing} path="queue" every=${REFRESH_MS}>${(queues) => html`<${Queues} queues=${queues} />`}<//>
  <h2>Waiting</h2>
  <${Listing} path="jobs?status=queued" every=${REFRESH_MS}>${(jobs) => html`<${Waiting} jobs=${jobs} />`}<//>
  <h2>Workers</h2>
  <${Listing} path="jobs?status=running&limit=${MOST_JOBS}" every=${REFRESH_MS}>
    ${(running) => html`
      <${Listing} path="workers" every=${REFRESH_MS}>
        ${(workers, reload) => html`<${Workers} workers=${workers} running=${running} mayDrain=${me.key.scopes.includes("server")} onChange=${reload} />`}
      <//>`}
  <//>`;

function Queues({ queues }) {
  if (queues.length === 0) return html`<p class="muted">None: no workers and no jobs.</p>`;
  return html`
    <div class="panel scroll" tabindex="0" role="group" aria-label="Queues">
      <table class="jobs queues">
        <thead>
          <tr>
            <th scope="col">Queue</th><th scope="col" class="number">Waiting</th><th scope="col" class="number wide">Running</th>
            <th scope="col" class="number">Free slots</th><th scope="col" class="wide">Longest wait</th><th scope="col">A new job would wait</th>
          </tr>
        </thead>
        <tbody>
          ${queues.map((queue) => html`
            <tr key=${queue.name}>
              <th scope="row">${queue.name}</th>
              <td class="number" title="${queue.due} could run now">${queue.queued}</td><td class="number wide">${queue.running}</td>
              <td class="number">${queue.free_slots} of ${queue.slots}</td>
              <td class="wide">${duration(queue.oldest_wait_seconds)}</td><td>${wait(queue)}</td>
            </tr>`)}
        </tbody>
      </table>
    </div>`;
}

function wait({ workers, wait_seconds: seconds }) {
  if (workers === 0) return html`<span class="warn">until a worker serves this queue</span>`;
  if (seconds === null) return "unknown until a job has succeeded";
  return seconds < 1 ? "not at all" : `about ${duration(seconds)}`;
}

function Waiting({ jobs }) {
  if (jobs.length === 0) return html`<p class="muted">No job of this project is waiting.</p>`;
  return html`
    <ul class="panel list">
      ${jobs.map((job) => html`
        <li key=${job.id}>
          <p class="row"><a href="#/jobs/${job.id}">${job.name}</a> <span class="muted small">queue ${job.spec.resources.queue}</span></p>
          <p class="small">${job.queue.position == null ? "Far back" : `Number ${job.queue.position}`} since ${time(job.queue.since)}: waits for ${sentence(job.queue.waiting_for)}.</p>
        </li>`)}
    </ul>`;
}

function Workers({ workers, running, mayDrain, onChange }) {
  if (workers.length === 0) {
    return html`
      <p class="panel empty muted">No worker is running, so jobs wait.
        Start one on each machine with GPUs: <code>python -m worker</code>. On one machine <code>duet up</code> starts all.</p>`;
  }
  const names = new Map(running.map((job) => [job.id, job.name]));
  return html`
    <ul class="cards">
      ${workers.map((worker) => html`<${Worker} key=${worker.id} worker=${worker} names=${names} mayDrain=${mayDrain} onChange=${onChange} />`)}
    </ul>`;
}

function Worker({ worker, names, mayDrain, onChange }) {
  const { host, status, queues, slots, jobs, num_other_jobs: others } = worker;
  const isLeaving = worker.leaves_when_empty;
  const versions = Object.entries(worker.versions).map(([name, version]) => `${name} ${version}`).join(", ");
  return html`
    <li class="panel card">
      <div class="title">
        <h3>${host}</h3>
        <span class="status ${status === "active" && !worker.blocked ? "succeeded" : "paused"}">${isLeaving ? "leaving once empty" : worker.blocked ? "takes no jobs" : status}</span>
      </div>
      ${worker.blocked && html`<p class="warn">Cannot run jobs: ${worker.blocked}</p>`}
      <p>${gpus(worker)}${worker.memory_bytes && html`<span class="muted"> · ${bytes(worker.memory_bytes)} of memory</span>`}</p>
      <p class="small">${jobs.length + others} of ${slots} ${slots === 1 ? "slot" : "slots"} used · queue ${queues.join(", ")}</p>
      ${jobs.length > 0 && html`<p class="small">Runs ${jobs.map((id, i) => html`${i > 0 && ", "}<a href="#/jobs/${id}">${names.get(id) ?? id}</a>`)}</p>`}
      ${others > 0 && html`<p class="small muted">Runs ${others} of other projects</p>`}
      <p class="small muted">Started ${ago(worker.started_at)}, seen ${ago(worker.last_seen_at)}</p>
      ${versions && html`<details class="small muted"><summary>Versions</summary>${versions}</details>`}
      ${mayDrain && html`<div class="row acts"><${Orders} worker=${worker} onChange=${onChange} /></div>`}
    </li>`;
}

const Orders = ({ worker: { id, host, status }, onChange }) => (status === "draining"
  ? html`<${ActionButton} label="Undrain" of=${host} does=${() => postJson(`workers/${id}/undrain`)} onDone=${onChange} />`
  : html`
    <${ActionButton} label="Drain…" of=${host} does=${() => postJson(`workers/${id}/drain`)} onDone=${onChange}
      asks="It takes no more jobs and finishes what it runs, until you undrain it." yes="Drain it" />
    <${ActionButton} label="Drain and end…" of=${host} does=${() => postJson(`workers/${id}/drain?leave=true`)} onDone=${onChange}
      asks="It takes no more jobs, finishes what it runs, and then ends." yes="Drain and end it" />`);

/** "2 × NVIDIA H200, 140 GiB" for each kind. */
function gpus({ num_gpus: number, gpus: told }) {
  if (number === 0) return "No GPU";
  if (told.length === 0) return `${number} ${number === 1 ? "GPU" : "GPUs"}`;
  const kinds = Map.groupBy(told, ({ name, memory_bytes: memory }) => memory == null ? name : `${name}, ${bytes(memory)}`);
  return [...kinds].map(([kind, same]) => `${same.length} × ${kind}`).join("; ");
}
