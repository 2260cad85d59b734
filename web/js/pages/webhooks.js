// Who is told what happens to the project's jobs, and whether it arrives.
import { del, postJson, sendJson } from "../net/api.js";
import { Act, Form } from "../ui/action.js";
import { Deliveries } from "./deliveries.js";
import { Secret } from "../ui/dialog.js";
import { ago, duration, number } from "../ui/format.js";
import { Component, html } from "../ui/html.js";
import { Listing } from "../ui/paged_list.js";

const EVENTS = [
  "job.created", "job.queued", "job.running", "job.paused", "job.succeeded", "job.failed", "job.cancelled", "checkpoint.created",
];
const FIRST = ["job.succeeded", "job.failed", "job.cancelled"]; // chosen until the user says otherwise: how a job ended

export class WebhooksPage extends Component {
  state = { secret: null };

  show = (webhook) => this.setState({ secret: webhook });

  render(_, { secret }) {
    return html`
      <h1>Webhooks</h1>
      <${Listing} path="webhooks?limit=50">
        ${(webhooks, reload) => html`
          <${Form} title="Add a webhook" yes="Add the webhook" does=${make} onDone=${(made) => { this.show(made); reload(); }}>
            <label class="field">Address <input name="url" type="url" required maxlength="2000" placeholder="Where your server takes events" /></label>
            <label class="field">Description <input name="description" maxlength="500" /></label>
            <fieldset>
              <legend>Is told of</legend>
              ${EVENTS.map((event) => html`
                <label class="choice"><input type="checkbox" name="events" value=${event} defaultChecked=${FIRST.includes(event)} /> ${event}</label>`)}
            </fieldset>
          <//>
          ${webhooks.length === 0 && html`<p class="panel empty muted">None yet. A webhook is posted a signed event when something happens to a job.</p>`}
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
          <${Act} label="Send a test" of=${url} does=${() => postJson(`webhooks/${id}/test`)} onDone=${(answer) => this.setState({ taken: answer })} />
          <${Act} label="New secret…" of=${url} does=${() => postJson(`webhooks/${id}/rotate-secret`)} onDone=${onSecret}
            asks="For a day both secrets sign, so that your server can change over." yes="Make a new secret" />
          ${enabled
            ? html`<${Act} label="Disable…" of=${url} does=${change({ enabled: false })} onDone=${onChange}
                asks="It is told nothing more, and what waits to be sent is given up." yes="Disable the webhook" />`
            : html`<${Act} label="Enable" of=${url} does=${change({ enabled: true })} onDone=${onChange} />`}
          <${Act} label="Delete…" of=${url} does=${() => del(`webhooks/${id}`)} onDone=${onChange}
            asks="It goes with its deliveries." yes="Delete the webhook" />
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

const Taken = ({ answer: { delivered, status_code: code, error, seconds } }) => html`
  <p class=${delivered ? "" : "warn"} role="status">
    ${delivered ? `The test arrived: answer ${code} after ${seconds < 1 ? `${number(seconds)} s` : duration(seconds)}.` : `The test did not arrive: ${error}`}
  </p>`;
