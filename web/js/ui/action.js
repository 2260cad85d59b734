// A button, with an optional confirmation, and a form; both send a request to the server.
import { Dialog } from "./dialog.js";
import { Component, html } from "./html.js";

/** A component that sends a request: `does` sends it, `onDone` receives the response; an error is stored for display. */
class AsyncAction extends Component {
  state = { open: false, busy: false, problem: null };

  close = () => this.setState({ open: false, problem: null });

  async send(...given) {
    this.setState({ busy: true, problem: null });
    try {
      const answer = await this.props.does(...given);
      this.setState({ busy: false, open: false });
      await this.props.onDone?.(answer);
      return true;
    } catch (problem) {
      this.setState({ busy: false, problem });
      return false;
    }
  }
}

const Alert = ({ problem }) => problem && html`<p class="alert" role="alert">${problem.message}</p>`;

/** `asks`: question confirmed by the button `yes`; `of`: the object's name. */
export class ActionButton extends AsyncAction {
  start = () => (this.props.asks ? this.setState({ open: true }) : this.send());

  render({ label, of: object, asks, yes }, { open, busy, problem }) {
    return html`
      <button class="quiet" aria-label=${`${label} ${object}`} disabled=${busy} onClick=${this.start}>${label}</button>
      ${!open && html`<${Alert} problem=${problem} />`}
      ${open && html`
        <${Dialog} title="${label.replace("…", "")} ${object}" onClose=${this.close}>
          <p>${asks}</p>
          <${Alert} problem=${problem} />
          <p class="row end">
            <button onClick=${this.close}>Cancel</button>
            <button class="danger" disabled=${busy} onClick=${() => this.send()}>${yes}</button>
          </p>
        <//>`}`;
  }
}

/** Fields and a submit button; cleared after success. */
export class Form extends AsyncAction {
  submit = async (event) => {
    event.preventDefault();
    const form = event.target;
    if (await this.send(new FormData(form))) form.reset();
  };

  render({ title, yes, children, onLeave }, { busy, problem }) {
    return html`
      <form class="panel form" aria-label=${title} onSubmit=${this.submit}>
        <h2>${title}</h2>
        ${children}
        <${Alert} problem=${problem} />
        <p>
          <button class="primary" disabled=${busy}>${yes}</button>
          ${onLeave && html`<button type="button" onClick=${onLeave}>Cancel</button>`}
        </p>
      </form>`;
  }
}
