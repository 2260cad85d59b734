// A job's attempts: a strip over time with faults and resumes, and a list.
import { duration, time, visible } from "../ui/format.js";
import { html } from "../ui/html.js";

const WIDTH = 1000; // of the strip, in SVG units
const NARROWEST = 3; // keeps very short attempts visible
const FAULTS = new Set(["failed", "lost"]);

export function Attempts({ attempts }) {
  if (attempts.length === 0) return html`<p class="muted">None yet: no worker has claimed the job.</p>`;
  return html`
    <div class="panel attempts">
      <${Strip} attempts=${attempts} />
      <ol class="list">${attempts.map((attempt) => html`<${Attempt} key=${attempt.attempt} attempt=${attempt} />`)}</ol>
    </div>`;
}

/** Steps at which an attempt resumed the run: [{step, isFault}]; isFault: the previous attempt ended in a fault. */
export const marksOf = (attempts) => attempts.slice(1).map(({ resumed_from_step: step }, i) => ({
  step: step ?? 0, isFault: FAULTS.has(attempts[i].outcome) }));

const beganAt = (attempt) => Date.parse(attempt.started_at);
const endedAt = (attempt) => (attempt.ended_at ? Date.parse(attempt.ended_at) : Date.now());
const kind = (attempt) => attempt.outcome ?? "running";

function Strip({ attempts }) {
  const from = beganAt(attempts[0]);
  const scale = WIDTH / Math.max(1, endedAt(attempts.at(-1)) - from);
  const at = (moment) => (moment - from) * scale;
  return html`
    <svg class="strip" viewBox="0 0 ${WIDTH} 16" preserveAspectRatio="none" role="img" aria-label=${said(attempts)}>
      ${attempts.map((attempt) => html`<${Span} key=${attempt.attempt} attempt=${attempt} at=${at} />`)}
    </svg>
    <p class="small muted marks">
      <span class="fault">fault</span> <span class="resume">resumed from a checkpoint</span>
    </p>`;
}

/** An attempt's time span, with a mark for its resume and one for a fault at its end. */
function Span({ attempt, at }) {
  const [begin, end] = [at(beganAt(attempt)), at(endedAt(attempt))];
  const mark = (name, x) => html`<line class=${name} x1=${x} x2=${x} y1="0" y2="16" />`;
  return html`
    <rect class=${kind(attempt)} x=${begin} y="4" height="8" width=${Math.max(NARROWEST, end - begin)}>
      <title>${`Attempt ${attempt.attempt} ${kind(attempt)}`}</title>
    </rect>
    ${attempt.resumed_from_step != null && mark("resume", begin)}
    ${FAULTS.has(attempt.outcome) && mark("fault", end)}`;
}

function said(attempts) {
  const faults = attempts.filter((attempt) => FAULTS.has(attempt.outcome)).length;
  const resumes = attempts.filter((attempt) => attempt.resumed_from_step != null).length;
  return `Attempts over time: ${attempts.length}, of which ${faults} ended in a fault and ${resumes} resumed from a checkpoint`;
}

function Attempt({ attempt }) {
  const { error, log_tail: tail, resumed_from_step: from, gpus } = attempt;
  return html`
    <li>
      <p class="row">
        <b class="outcome ${kind(attempt)}">Attempt ${attempt.attempt} ${kind(attempt)}</b>
        ${from != null && html`<span class="tag mixed">resumed from step ${from}</span>`}
        <span class="small">on ${attempt.host}${gpus.length > 0 && `, GPU ${gpus.join(", ")}`}</span>
        <span class="muted small">${time(attempt.started_at)}, ${duration((endedAt(attempt) - beganAt(attempt)) / 1000)}${exit(attempt)}</span>
      </p>
      ${error && html`<p class="small">${error.message} ${error.hint} <span class="mono">${error.code}</span></p>`}
      ${tail && html`
        <details>
          <summary class="small">Last lines of its log</summary>
          <pre class="text" tabindex="0" role="group" aria-label="Log of attempt ${attempt.attempt}">${visible(tail)}</pre>
        </details>`}
    </li>`;
}

function exit({ exit_signal: signal, exit_code: code }) {
  if (signal) return `, ended by ${signal}`;
  return code == null ? "" : `, exit code ${code}`;
}
