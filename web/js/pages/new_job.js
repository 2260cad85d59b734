// A new job: a form made from the server's schema and presets, or the same spec as text.
import { postJson } from "../net/api.js";
import { Asking, check, trying } from "../form/live_check.js";
import { dropDraft, keepDraft, readDraft, sendingOf } from "../form/draft.js";
import { Estimate } from "../form/estimate.js";
import { Findings, goTo } from "../form/problems.js";
import { ActionButton } from "../ui/action.js";
import { Component, html } from "../ui/html.js";
import { beginning, offeredBy } from "../form/catalogue.js";
import { at, parentOf, put } from "../form/json_pointer.js";
import { Preflight } from "../form/preflight.js";
import { ABOVE, Presets, Settings } from "../form/settings.js";
import { readSpec, writeSpec } from "../form/spec_text.js";

const UNCHECKED = { errors: [], problem: null, estimates: null, unknown: "" };

/** `query`: `preset`, or `from`, a job whose settings are copied. */
export const NewJobPage = ({ query, me }) => html`<${NewJob} key=${query} query=${query} project=${me.project.id} />`;

class NewJob extends Component {
  state = { offered: null, spec: null, text: null, isText: false, textProblem: "", checked: UNCHECKED, preflight: null, sending: false, problem: null };
  asking = new Asking();
  tryRewards = trying();

  componentDidMount() {
    this.open();
  }

  componentWillUnmount() {
    this.asking.stop();
  }

  async open() {
    try {
      const offered = await offeredBy();
      const { query, project } = this.props;
      const begun = readDraft(String(query), project) ?? { spec: await beginning(query, offered), text: null, isText: false };
      this.setState({ offered, ...begun, ...(begun.text !== null && fromText(begun.text)) }, () => this.check());
    } catch (problem) {
      this.setState({ problem });
    }
  }

  change = (pointer, value) => {
    const { schema } = this.state.offered;
    this.setState(({ spec }) => ({ spec: changed(spec ?? {}, pointer, value, schema), text: null }), this.changed);
  };

  write = ({ target: { value: text } }) => this.setState(fromText(text), this.changed);

  changed = () => {
    this.keep();
    this.check();
  };

  keep() {
    const { spec, text, isText, sent } = this.state;
    const { query, project } = this.props;
    keepDraft({ origin: String(query), project, spec, text, isText, sent });
  }

  check() {
    const { spec } = this.state;
    if (!spec) return;
    this.asking.ask(async (signal) => {
      const said = await check(spec, signal);
      this.setState(({ checked }) => ({
        checked: { ...said, estimates: said.estimates ?? checked.estimates, isOld: !said.estimates }, problem: null,
      }));
      if (said.estimates) this.setState({ preflight: await this.tryRewards(spec, signal) });
    });
  }

  show = (isText) => this.setState(({ spec }) => ({ isText, spec: spec ?? {} }), this.changed);

  restart = async () => {
    dropDraft();
    this.asking.stop();
    if (String(this.props.query)) location.hash = "#/new";
    else this.setState({ spec: null, text: null, isText: false, textProblem: "", checked: UNCHECKED, preflight: null, problem: null });
  };

  submit = (event) => {
    event.preventDefault();
    if (this.state.sending || this.state.textProblem) return;
    const sent = sendingOf(this.state.spec, this.state.sent);
    this.setState({ sending: true, problem: null, sent }, () => this.send(sent));
  };

  async send({ spec, key }) {
    this.keep();
    try {
      const job = await postJson("jobs", spec, { headers: { "idempotency-key": key } });
      dropDraft();
      location.hash = `#/jobs/${job.id}`;
    } catch (problem) {
      const { errors = [] } = problem;
      this.setState(({ checked }) => ({
        sending: false, problem: errors.length ? null : problem, checked: errors.length ? { ...checked, errors } : checked,
      }), () => errors.length && goTo(errors[0].pointer));
    }
  }

  render(_, { offered, spec, text, isText, textProblem, checked, preflight, sending, problem }) {
    const alert = problem && html`<p class="alert" role="alert">${problem.message}</p>`;
    if (!offered) return html`<h1>New job</h1>${alert ?? html`<p class="muted">Loading…</p>`}`;
    const form = { spec, errors: checked.errors, change: this.change, ...offered, above: ABOVE, base: offered.baseOf(spec ?? {}) };
    return html`
      <div class="title">
        <h1>New job</h1>
        ${spec && html`<${Views} isText=${isText} canLeave=${!textProblem} onShow=${this.show} onRestart=${this.restart} />`}
      </div>
      <form class="new ${spec ? "" : "start"}" novalidate onSubmit=${this.submit} onKeyDown=${keepFromSending}>
        <div>
          ${isText && html`<${AsText} text=${text ?? writeSpec(spec)} problem=${textProblem} onInput=${this.write} />`}
          ${!isText && html`<${Presets} form=${form} />`}
          ${!isText && spec && html`<${Settings} form=${form} />`}
        </div>
        ${spec
          ? html`<section class="panel side" aria-label="Check and submit">
              <h2>Cost</h2>
              <${Estimate} ...${checked} />
              <${Preflight} preflight=${preflight} isOld=${checked.isOld} />
              <${Findings} checked=${checked} />
              ${alert}
              <button class="primary" disabled=${sending || Boolean(textProblem)}>${sending ? "Submitting…" : "Start training"}</button>
            </section>`
          : html`<p class="muted">Have a spec already? <button type="button" onClick=${() => this.show(true)}>Paste YAML or JSON</button></p>`}
      </form>`;
  }
}

/** Sets the text and its spec; while the text is invalid, the spec stays unchanged. */
function fromText(text) {
  try {
    return { text, spec: readSpec(text), textProblem: "" };
  } catch (error) {
    return { text, textProblem: error.message };
  }
}

/** Prevents submission by Enter in a field; on the button and in multi-line text it works as usual. */
function keepFromSending(event) {
  if (event.key === "Enter" && event.target.matches("input, select")) event.preventDefault();
}

/** Removes a section that became empty, except an optional one: empty, it is enabled. */
function changed(spec, pointer, value, schema) {
  const next = put(spec, pointer, value);
  const parent = parentOf(pointer);
  const isEmptied = value === undefined && parent && Object.keys(at(next, parent) ?? {}).length === 0;
  return isEmptied && !schema.fieldAt(parent)?.isOptional ? changed(next, parent, undefined, schema) : next;
}

const Views = ({ isText, canLeave, onShow, onRestart }) => html`
  <div class="views">
    <div class="switch" role="group" aria-label="Edit as">
      <button aria-pressed=${!isText} disabled=${!canLeave} onClick=${() => onShow(false)}>Form</button>
      <button aria-pressed=${isText} onClick=${() => onShow(true)}>YAML</button>
    </div>
    <${ActionButton} label="Start over…" of="with an empty form" does=${onRestart}
      asks="Your changes are discarded, in the form and as YAML." yes="Discard" />
  </div>`;

const AsText = ({ text, problem, onInput }) => html`
  <section class="panel as-text">
    <label for="spec">The job's spec in YAML or JSON</label>
    <textarea id="spec" rows="24" spellcheck=${false} value=${text} onInput=${onInput}
      aria-describedby="spec-help" aria-invalid=${problem ? true : undefined}></textarea>
    ${problem && html`<p class="error small" role="alert">${problem}</p>`}
    <p id="spec-help" class="muted small">Only what differs from the preset needs to be here. Comments stay until a field of the form is changed.</p>
  </section>`;
