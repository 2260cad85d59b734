// The sign-in form, shown in place of a page; the address stays the same.
import { Component, html } from "../ui/html.js";
import { Dialog } from "../ui/dialog.js";
import { signIn } from "../net/session.js";

/** `reason`: the reason for the sign-in; `onDone` is called with the result. */
export class SignIn extends Component {
  state = { busy: false, problem: null };

  submit = async (event) => {
    event.preventDefault();
    const key = new FormData(event.target).get("key");
    this.setState({ busy: true, problem: null });
    try {
      this.props.onDone(await signIn(key));
    } catch (problem) {
      this.setState({ busy: false, problem });
    }
  };

  render({ reason }, { busy, problem }) {
    const said = problem?.message ?? reason;
    return html`
      <form class="panel sign-in" onSubmit=${this.submit}>
        <h1>Sign in</h1>
        ${said && html`<p class="alert" role="alert">${said}</p>`}
        <label for="key">API key</label>
        <input id="key" name="key" type="password" autocomplete="off" spellcheck=${false} required
          placeholder="duet_…" aria-describedby="key-help" />
        <p id="key-help" class="muted"><code>duet up</code> prints an address that carries the key. The page exchanges it for a session, and keeps it nowhere.</p>
        <button class="primary" disabled=${busy}>Sign in</button>
      </form>`;
  }
}

/** Confirmation to replace the current sign-in by a link's key. */
export class OfferedKey extends Component {
  state = { busy: false, problem: null };

  accept = async () => {
    this.setState({ busy: true, problem: null });
    try {
      this.props.onAnswer(await signIn(this.props.sent));
    } catch (problem) {
      this.setState({ busy: false, problem });
    }
  };

  render({ owner, me, onAnswer }, { busy, problem }) {
    return html`
      <${Dialog} title="Sign in with another key?" onClose=${() => onAnswer(null)}>
        <p>This link carries the key <b>${owner.key.name}</b> of the project <b>${owner.project.name}</b>. You are signed in
          to <b>${me.project.name}</b> with the key <b>${me.key.name}</b>.</p>
        <p>If you did not ask for the link, stay: what you upload and start belongs to the project that is signed in.</p>
        ${problem && html`<p class="alert" role="alert">${problem.message}</p>`}
        <p class="row end">
          <button class="primary" onClick=${() => onAnswer(null)}>Stay signed in</button>
          <button class="danger" disabled=${busy} onClick=${this.accept}>Sign in with the link’s key</button>
        </p>
      <//>`;
  }
}
