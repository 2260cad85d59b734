// A completion token by token, colored by the gap between sampler and policy logprob.
import { signed, visible } from "../ui/format.js";
import { html } from "../ui/html.js";

const GAPS = [0.02, 0.1, 0.3, 1]; // nats; a token's shade is the number of thresholds that its gap reaches

const gap = ({ sampler_logprob: sampler, policy_logprob: policy }) =>
  (sampler == null || policy == null ? null : Math.abs(policy - sampler));

const shade = (token) => {
  const nats = gap(token);
  return nats === null ? "unknown" : `gap-${GAPS.filter((least) => nats >= least).length}`;
};

export const Tokens = ({ label, tokens }) => html`
  <pre class="text tokens" tabindex="0" role="group" aria-label=${label}>${tokens.map((token) => html`
    <span class=${shade(token)} title=${said(token)}>${visible(token.text)}</span>`)}</pre>
  <p class="small muted">
    ${tokens.some((token) => gap(token) !== null)
      ? html`Shade: logprob gap between sampler and policy ${GAPS.map((least, i) => html`<span class="tokens"><span class="gap-${i + 1}">≥ ${least}</span></span> `)} nats`
      : "No logprob gap: the completion was not trained on."}
  </p>`;

function said(token) {
  const nats = gap(token);
  const learnt = nats === null ? "not trained on" : `policy ${signed(token.policy_logprob)}, gap ${nats.toPrecision(2)} nats`;
  return `sampler ${signed(token.sampler_logprob)}, ${learnt}`;
}
