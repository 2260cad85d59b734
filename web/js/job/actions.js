// The actions that a job's state allows, with a confirmation before those that cannot be undone.
import { del, postJson } from "../net/api.js";
import { maySubmit } from "../net/session.js";
import { Component, html } from "../ui/html.js";
import { isOver } from "./job_table.js";

/** Each action: `does` sends the request, `asks` is its confirmation if it has one, `leads` the next page's address. */
const PAUSE = { label: "Pause", does: (job) => postJson(`jobs/${job.id}/pause`) };
const RESUME = { label: "Resume", does: (job) => postJson(`jobs/${job.id}/resume`) };
const CANCEL = { label: "Cancel…", asks: "End this job for good? A running job finishes its step and saves a checkpoint first.", yes: "Cancel the job",
  does: (job) => postJson(`jobs/${job.id}/cancel`) };
const KILL = { label: "Kill…", asks: "End this job now, without saving a checkpoint?", yes: "Kill the job",
  does: (job) => postJson(`jobs/${job.id}/cancel?kill=true`) };
const RETRY = { label: "Retry", does: (job) => postJson(`jobs/${job.id}/retry`), leads: (made) => `#/jobs/${made.id}` };
const DELETE = { label: "Delete…", asks: "Permanently delete this job with its log and its checkpoints?", yes: "Delete the job",
  does: (job) => del(`jobs/${job.id}`), leads: () => "#/" };
export const FORK = { label: "Fork…", asks: "A new job from the weights of", yes: "Start the fork",
  does: (job, form) => postJson(`jobs/${job.id}/fork`,
    { checkpoint: form.get("checkpoint"), overrides: { name: form.get("name") } }),
  leads: (made) => `#/jobs/${made.id}` };

function moves(job, checkpoints) {
  const fork = checkpoints.length > 0 ? [FORK] : [];
  if (isOver(job)) return [...(job.status === "succeeded" ? [] : [RETRY]), ...fork, DELETE];
  if (job.status === "paused") return [RESUME, ...fork, CANCEL];
  const steer = { run: [PAUSE, CANCEL], pause: [RESUME, CANCEL], cancel: [KILL], kill: [] }[job.wanted];
  return [...steer, ...fork];
}

/** `offers`: the actions to show instead of all that the job's state allows; a key that only reads gets none. */
export class Actions extends Component {
  state = { asking: null, busy: false, problem: null };

  start = (move) => (move.asks ? this.setState({ asking: move, problem: null }) : this.send(move));

  answer = (event) => {
    event.preventDefault();
    this.send(this.state.asking, new FormData(event.target));
  };

  async send(move, form) {
    this.setState({ busy: true, problem: null });
    try {
      const made = await move.does(this.props.job, form);
      this.setState({ asking: null, busy: false });
      if (move.leads) location.hash = move.leads(made);
      else await this.props.onChange();
    } catch (problem) {
      this.setState({ busy: false, problem });
    }
  }

  render({ job, checkpoints, offers, me }, { asking, busy, problem }) {
    if (!maySubmit(me)) return null;
    const offered = offers ?? moves(job, checkpoints.filter((checkpoint) => !checkpoint.damaged));
    return html`
      ${problem && html`<p class="alert" role="alert">${problem.message}</p>`}
      <div class="actions">
        ${asking && offered.includes(asking)
          ? html`<${Question} move=${asking} busy=${busy} job=${job} checkpoints=${checkpoints}
              onAnswer=${this.answer} onLeave=${() => this.setState({ asking: null, problem: null })} />`
          : offered.map((move) => html`
              <button key=${move.label} disabled=${busy} onClick=${() => this.start(move)}>${move.label}</button>`)}
      </div>`;
  }
}

const Question = ({ move, busy, job, checkpoints, onAnswer, onLeave }) => html`
  <form class="ask" aria-label="Confirm" onSubmit=${onAnswer}>
    <span class="small">${move.asks}</span>
    ${move === FORK && html`<${ForkFields} job=${job} checkpoints=${checkpoints} />`}
    <button class=${move === FORK ? "primary" : "danger"} disabled=${busy}>${move.yes}</button>
    <button type="button" onClick=${onLeave}>${move === FORK ? "Cancel" : "Keep the job"}</button>
  </form>`;

/** The fork's checkpoint, by default the newest, and its name. */
const ForkFields = ({ job, checkpoints }) => html`
  <select name="checkpoint" aria-label="Checkpoint">
    ${checkpoints.filter((checkpoint) => !checkpoint.damaged).toReversed().map((checkpoint) => html`
      <option key=${checkpoint.id} value=${checkpoint.id}>step ${checkpoint.step}</option>`)}
  </select>
  <input name="name" aria-label="Name of the new job" required maxlength="200" defaultValue=${`${job.name}, forked`} />`;
