// Webhooks: addresses that receive events about the project's jobs.
import { del, getJson, postJson, sendJson } from "../net/api.js";
import { ActionButton, Form } from "../ui/action.js";
import { Deliveries } from "./deliveries.js";
import { Secret } from "../ui/dialog.js";
import { ago, number } from "../ui/format.js";
import { Component, html } from "../ui/html.js";
import { Listing } from "../ui/paged_list.js";

const EVENTS = [
  "job.created", "job.queued", "job.running", "job.paused", "job.succeeded", "job.failed", "job.cancelled", "checkpoint.created",
];
const FIRST = ["job.succeeded", "job.failed", "job.cancelled"]; // selected by default: the ends of a job

export class WebhooksPage extends Component {
  state = { secret: null };

  show = (webhook) => this.setState({ secret: webhook });

  render(_, { secret }) {
    return html`
      <h1>Webhooks</h1>
      <${Listing} path="webhooks?limit=50">
        ${(webhooks, reload) => html`
          <${Form} title="Add a webhook" yes="Add the webhook" does=${make} onDone=${(made) => { this.show(made); reload(); }}>
            <label class="field">Address <input name="url" type="url" required maxlength="2000" placeholder="Your server's URL for events" /></label>
            <label class="field">Description <input name="description" maxlength="500" /></label>
            <fieldset>
              <legend>Events</legend>
              ${EVENTS.map((event) => html`
                <label class="choice"><input type="checkbox" name="events" value=${event} defaultChecked=${FIRST.includes(event)} /> ${event}</label>`)}
            </fieldset>
          <//>
          ${webhooks.length === 0 && html`<p class="panel empty muted">None yet. A webhook receives a signed event when a job changes.</p>`}
          ${webhooks.map((webhook) => html`<${Webhook} key=${webhook.id} webhook=${webhook} onSecret=${this.show} onChange=${reload} />`)}`}
      <//>
      ${secret && html`
        <${Secret} title="Signing secret" value=${secret.secret} onClose=${() => this.setState({ secret: null })}>
          Your server checks with it that an event came from here (Standard Webhooks).
        <//>`}`;
  }
}

const make = (form) =>
  postJson("webhooks", { url: form.get("url"), description: form.get("description"), events: form.getAll("events") });

const LOOK_MS = 300;
const LOOKS = 100;

/** Resolves to the delivery of a test event once it was sent, or after half a minute. */
async function test(id) {
  let delivery = await postJson(`webhooks/${id}/test`);
  for (let looks = 0; delivery.status === "pending" && looks < LOOKS; looks++) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    delivery = await getJson(`webhooks/${id}/deliveries/${delivery.id}`);
  }
  return delivery;
}

class Webhook extends Component {
  state = { taken: null };

  render({ webhook, onSecret, onChange }, { taken }) {
    const { id, url, description, events, enabled } = webhook;
    const change = (wanted) => () => sendJson("PATCH", `webhooks/${id}`, wanted);
    return html`
      <section class="panel card webhook" aria-label=${url}>
        <div class="title">
          <h2>${url}</h2>
          <${Health} webhook=${webhook} />
        </div>
        ${description && html`<p>${description}</p>`}
        <p class="small muted">${events.join(", ")}</p>
        <div class="row acts">
          <${ActionButton} label="Send a test" of=${url} does=${() => test(id)} onDone=${(answer) => this.setState({ taken: answer })} />
          <${ActionButton} label="New secret…" of=${url} does=${() => postJson(`webhooks/${id}/rotate-secret`)} onDone=${onSecret}
            asks="Both secrets sign for a day, so that your server can switch." yes="Create a new secret" />
          ${enabled
            ? html`<${ActionButton} label="Disable…" of=${url} does=${change({ enabled: false })} onDone=${onChange}
                asks="It receives no more events, and pending deliveries are given up." yes="Disable the webhook" />`
            : html`<${ActionButton} label="Enable" of=${url} does=${change({ enabled: true })} onDone=${onChange} />`}
          <${ActionButton} label="Delete…" of=${url} does=${() => del(`webhooks/${id}`)} onDone=${onChange}
            asks="Its deliveries are deleted with it." yes="Delete the webhook" />
        </div>
        ${taken && html`<${Taken} answer=${taken} />`}
        <${Deliveries} webhook=${webhook} />
      </section>`;
  }
}

function Health({ webhook: { enabled, disabled_at: at, disabled_reason: reason, failing_since: since } }) {
  if (!enabled) return html`<span class="status failed">disabled ${ago(at)}${reason && `: ${reason}`}</span>`;
  return since
    ? html`<span class="status warn">failing, the first time ${ago(since)}</span>`
    : html`<span class="status succeeded">enabled</span>`;
}

function Taken({ answer: { status, status_code: code, error, tried_at: from, delivered_at: to } }) {
  if (status === "pending") return html`<p class="warn" role="status">The test has not been sent yet. Check that the server's ops process runs.</p>`;
  return status === "delivered"
    ? html`<p role="status">The test arrived: answer ${code} after ${number((new Date(to) - new Date(from)) / 1000)} s.</p>`
    : html`<p class="warn" role="status">The test did not arrive: ${error}</p>`;
}
