// What asks the server to do something: a button, which may ask the user first, and a form.
import { Dialog } from "./dialog.js";
import { Component, html } from "./html.js";

/** `does` the request and hands its answer to `onDone`; what went wrong is kept to be shown. */
class Deed extends Component {
  state = { open: false, busy: false, problem: null };

  close = () => this.setState({ open: false, problem: null });

  async ask(...given) {
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

/** `asks`: what the user is asked first, and `yes` the button that agrees; `of`: what it is done to. */
export class Act extends Deed {
  start = () => (this.props.asks ? this.setState({ open: true }) : this.ask());

  render({ label, of: object, asks, yes }, { open, busy, problem }) {
    return html`
      <button class="quiet" aria-label=${`${label} ${object}`} disabled=${busy} onClick=${this.start}>${label}</button>
      ${!open && html`<${Alert} problem=${problem} />`}
      ${open && html`
        <${Dialog} title="${label.replace("…", "")} ${object}" onClose=${this.close}>
          <p>${asks}</p>
          <${Alert} problem=${problem} />
          <p class="row end">
            <button onClick=${this.close}>Leave it</button>
            <button class="danger" disabled=${busy} onClick=${() => this.ask()}>${yes}</button>
          </p>
        <//>`}`;
  }
}

/** Fields and the button that sends them; they are empty again once that has gone well. */
export class Form extends Deed {
  submit = async (event) => {
    event.preventDefault();
    const form = event.target;
    if (await this.ask(new FormData(form))) form.reset();
  };

  render({ title, yes, children, onLeave }, { busy, problem }) {
    return html`
      <form class="panel form" aria-label=${title} onSubmit=${this.submit}>
        <h2>${title}</h2>
        ${children}
        <${Alert} problem=${problem} />
        <p>
          <button class="primary" disabled=${busy}>${yes}</button>
          ${onLeave && html`<button type="button" onClick=${onLeave}>Leave it</button>`}
        </p>
      </form>`;
  }
}
