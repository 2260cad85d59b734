// A webhook's deliveries, sent and pending.
import { postJson } from "../net/api.js";
import { ActionButton } from "../ui/action.js";
import { ago, time } from "../ui/format.js";
import { Component, html } from "../ui/html.js";
import { Listing } from "../ui/paged_list.js";

const REFRESH_MS = 4_000;
const SHOWN = { delivered: "succeeded", given_up: "failed", pending: "queued" };

/** Loaded while they are expanded. */
export class Deliveries extends Component {
  state = { open: false };

  toggle = ({ currentTarget: { open } }) => this.setState({ open });

  render({ webhook: { id, url } }, { open }) {
    const path = `webhooks/${id}/deliveries`;
    return html`
      <details onToggle=${this.toggle}>
        <summary class="small">Deliveries</summary>
        ${open && html`
          <${Listing} path=${path} every=${REFRESH_MS}>
            ${(deliveries, reload) => (deliveries.length === 0
              ? html`<p class="muted small">None yet, or all were older than 30 days.</p>`
              : html`
                <ul class="list" aria-label="Deliveries to ${url}">
                  ${deliveries.map((delivery) => html`<${Delivery} key=${delivery.id} delivery=${delivery} path=${path} onChange=${reload} />`)}
                </ul>`)}
          <//>`}
      </details>`;
  }
}

const Delivery = ({ delivery, path, onChange }) => html`
  <li>
    <div class="title">
      <p class="row"><span class="status ${SHOWN[delivery.status]}">${delivery.status.replace("_", " ")}</span> <b>${delivery.event}</b> <span class="muted small">${ago(delivery.created_at)}</span></p>
      ${delivery.status !== "pending" && html`
        <div class="row acts"><${ActionButton} label="Send again" of="${delivery.event} ${delivery.id}" does=${() => postJson(`${path}/${delivery.id}/redeliver`)} onDone=${onChange} /></div>`}
    </div>
    <p class="small muted">${story(delivery)}</p>
    <details class="small"><summary>Payload</summary><pre class="text" tabindex="0" role="group" aria-label="Payload of ${delivery.id}">${JSON.stringify(delivery.payload, null, 2)}</pre></details>
  </li>`;

function story({ tries, status, status_code: code, error, next_try_at: next, delivered_at: at }) {
  const tried = tries === 0 ? "Not yet tried" : `Tried ${tries === 1 ? "once" : `${tries} times`}`;
  if (status === "delivered") return html`${tried}, answer ${code} at ${time(at)}.`;
  return html`${tried}${error && `; the last time: ${error}`}${next && html`; next at ${time(next)}`}.`;
}
