// A modal dialog for a question or a secret: the browser keeps the focus inside, and Escape closes it.
import { Component, html } from "./html.js";

export class Dialog extends Component {
  componentDidMount() {
    this.dialog.showModal();
  }

  componentWillUnmount() {
    this.dialog.close(); // restores the focus
  }

  render({ title, children, onClose }) {
    return html`
      <dialog class="panel" aria-label=${title} ref=${(dialog) => (this.dialog = dialog)} onClose=${onClose}>
        <h2>${title}</h2>
        ${children}
      </dialog>`;
  }
}

/** A secret that is shown only once. */
export class Secret extends Component {
  state = { copied: false };

  copy = async () => {
    this.input.select(); // for copying by hand: without https there is no clipboard API
    await navigator.clipboard?.writeText(this.props.value);
    this.setState({ copied: Boolean(navigator.clipboard) });
  };

  render({ title, value, children, onClose }, { copied }) {
    return html`
      <${Dialog} title=${title} onClose=${onClose}>
        <p>${children} It is shown only once: store it where only you can read it.</p>
        <p class="row secret">
          <input class="mono" readonly value=${value} aria-label=${title} onFocus=${(event) => event.target.select()}
            ref=${(input) => (this.input = input)} />
          <button class="primary" onClick=${this.copy}>${copied ? "Copied" : "Copy"}</button>
        </p>
        <p class="row end"><button onClick=${onClose}>I have kept it</button></p>
      <//>`;
  }
}
