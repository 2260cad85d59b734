// The shell: who is signed in, the navigation, and the page that the address names.
import { getJson, hasKey, signIn, signOut, takeKeyFromAddress } from "./api.js";
import { Component, html, render } from "./html.js";
import { ROUTES, routeOf } from "./routes.js";

const RETRY_MS = 3_000;

class App extends Component {
  state = { signedIn: hasKey(), reason: "", hash: location.hash, me: null, problem: null };

  componentDidMount() {
    addEventListener("hashchange", () => {
      if (takeKeyFromAddress()) this.enter();
      this.setState({ hash: location.hash });
    });
    addEventListener("duet:signed-out", ({ detail }) => this.setState({ signedIn: false, me: null, reason: detail }));
    this.entitle();
    if (this.state.signedIn) this.meet();
  }

  componentDidUpdate(_, { hash }) {
    if (routeOf(hash)?.path === routeOf(this.state.hash)?.path) return;
    this.entitle();
    focusOnHeading();
  }

  /** A page may say more, once it knows more. */
  entitle() {
    document.title = `${routeOf(this.state.hash)?.route.title ?? "No such page"} · Duet`;
  }

  enter = () => this.setState({ signedIn: true, me: null, reason: "" }, () => this.meet());

  /** Who is signed in: a page is drawn once it is known what it may offer. */
  async meet() {
    clearTimeout(this.meeting);
    try {
      this.setState({ me: await getJson("me"), problem: null });
    } catch (problem) {
      if (!this.state.signedIn) return;
      this.setState({ problem });
      this.meeting = setTimeout(() => this.meet(), RETRY_MS);
    }
  }

  render(_, { signedIn, reason, hash, me, problem }) {
    return html`
      <a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
      <${Header} me=${me} hash=${hash} />
      <main id="main" tabindex="-1">
        ${!signedIn && html`<${SignIn} reason=${reason} onDone=${this.enter} />`}
        ${signedIn && me && html`<${Page} hash=${hash} me=${me} />`}
        ${signedIn && !me && problem && html`<p class="alert" role="alert">${problem.message} Trying again…</p>`}
      </main>`;
  }
}

/** The address holds the route, so a link within the page is followed by hand. */
function skip(event) {
  event.preventDefault();
  focusOnHeading();
}

function focusOnHeading() {
  const place = document.querySelector("main h1") ?? document.querySelector("main");
  place.tabIndex = -1;
  place.focus();
}

const Header = ({ me, hash }) => html`
  <header class="top">
    <a class="brand" href="#/"><img src="icon.svg" alt="" width="20" height="20" /> Duet</a>
    ${me && html`
      <${Navigation} me=${me} hash=${hash} />
      <p class="account">
        <span class="muted small" title="Project ${me.project.name}, key ${me.key.name}">${me.project.name} · ${me.key.name}</span>
        <button class="quiet" onClick=${() => signOut()}>Sign out</button>
      </p>`}
  </header>`;

function Navigation({ me, hash }) {
  const here = routeOf(hash)?.route;
  const current = (route) => (route === here ? "page" : route.path === here?.under && "true");
  const offered = ROUTES.filter(({ nav, needs }) => nav && (!needs || me.key.scopes.includes(needs)));
  return html`
    <nav aria-label="Pages">
      ${offered.map((route) => html`
        <a key=${route.path} href="#${route.path}" aria-current=${current(route) || undefined}>${route.nav}</a>`)}
    </nav>`;
}

function Page({ hash, me }) {
  const found = routeOf(hash);
  if (!found) return html`<${NoSuchPage} />`;
  const { route, path, params, query } = found;
  if (route.needs && !me.key.scopes.includes(route.needs)) return html`<${NotAllowed} route=${route} />`;
  return html`<${route.page} key=${path} ...${params} query=${query} me=${me} />`;
}

const NoSuchPage = () => html`
  <h1>No such page</h1>
  <p>Nothing is at this address. <a href="#/">All jobs</a></p>`;

const NotAllowed = ({ route: { title, needs } }) => html`
  <h1>${title}</h1>
  <p>This page needs a key with the scope <b>${needs}</b>. Sign in with one, or ask an admin for it.</p>`;

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
