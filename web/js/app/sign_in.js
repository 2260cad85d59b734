// What is shown instead of a page to whom nobody has vouched for; the address keeps the page.
import { Component, html } from "../ui/html.js";
import { signIn } from "../net/session.js";

/** `reason`: why one is asked to sign in; `onDone` hears who has. */
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
