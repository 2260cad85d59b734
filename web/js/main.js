// The shell: the key, the route in the address, and one page at a time.
import { hasKey, signIn, signOut, takeKeyFromAddress } from "./api.js";
import { ComparePage } from "./compare.js";
import { Component, html, render } from "./html.js";
import { JobPage } from "./job.js";
import { JobsPage } from "./jobs.js";

class App extends Component {
  state = { signedIn: hasKey(), reason: "", hash: location.hash };

  componentDidMount() {
    addEventListener("hashchange", () => {
      const taken = takeKeyFromAddress();
      this.setState({ hash: location.hash, signedIn: taken || hasKey() });
      document.querySelector("main")?.focus();
    });
    addEventListener("duet:signed-out", ({ detail }) => this.setState({ signedIn: false, reason: detail }));
  }

  render(_, { signedIn, reason, hash }) {
    return html`
      <header class="top">
        <a class="brand" href="#/"><img src="icon.svg" alt="" width="20" height="20" /> Duet</a>
        ${signedIn && html`<button class="quiet" onClick=${() => signOut()}>Sign out</button>`}
      </header>
      <main tabindex="-1">
        ${signedIn ? page(hash) : html`<${SignIn} reason=${reason} onDone=${() => this.setState({ signedIn: true, reason: "" })} />`}
      </main>`;
  }
}

function page(hash) {
  const [, jobId] = /^#\/jobs\/([A-Za-z0-9_]+)$/.exec(hash) ?? [];
  const [, compared] = /^#\/compare\/([A-Za-z0-9_,]+)$/.exec(hash) ?? [];
  if (compared) return html`<${ComparePage} key=${compared} ids=${compared} />`;
  return jobId ? html`<${JobPage} key=${jobId} id=${jobId} />` : html`<${JobsPage} />`;
}

function SignIn({ reason, onDone }) {
  const submit = (event) => {
    event.preventDefault();
    signIn(new FormData(event.target).get("key"));
    onDone();
  };
  return html`
    <form class="panel sign-in" onSubmit=${submit}>
      <h1>Sign in</h1>
      ${reason && html`<p class="alert" role="alert">${reason}</p>`}
      <label for="key">API key</label>
      <input id="key" name="key" type="password" autocomplete="off" spellcheck=${false} required
        placeholder="duet_…" aria-describedby="key-help" />
      <p id="key-help" class="muted"><code>duet up</code> prints an address that carries the key. It stays in this tab only.</p>
      <button class="primary">Sign in</button>
    </form>`;
}

takeKeyFromAddress();
render(html`<${App} />`, document.getElementById("app"));
