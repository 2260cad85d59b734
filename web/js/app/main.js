// The shell: sign-in state, navigation, and the page of the current address.
import { dropDraft } from "../form/draft.js";
import { Component, html, render } from "../ui/html.js";
import { ROUTES, routeOf } from "./routes.js";
import { onOtherTab, ownerOf, readSession, signIn, signOut, takeKeyFromAddress } from "../net/session.js";
import { OfferedKey, SignIn } from "./sign_in.js";

const RETRY_MS = 3_000;

class App extends Component {
  state = { hash: location.hash, me: null, signedOut: false, reason: "", problem: null, offered: null };

  componentDidMount() {
    addEventListener("hashchange", () => {
      const key = takeKeyFromAddress();
      if (key !== null) this.state.me ? this.offer(key) : this.meet(key);
      this.setState({ hash: location.hash });
    });
    addEventListener("duet:signed-out", ({ detail }) => this.leave(detail));
    onOtherTab((signedIn) => (signedIn ? this.meet() : this.leave("You have signed out in another tab.")));
    this.entitle();
    this.meet(this.props.apiKey);
  }

  componentDidUpdate(_, { hash }) {
    if (routeOf(hash)?.path === routeOf(this.state.hash)?.path) return;
    this.entitle();
    focusOnHeading();
  }

  /** Sets the default title; a page may set a more specific one. */
  entitle() {
    document.title = `${routeOf(this.state.hash)?.route.title ?? "No such page"} · Duet`;
  }

  /**
   * Loads the sign-in state; a page is rendered once its permissions are known.  `key` comes from the address: any site
   * can link to one, so it signs in only if the browser is signed out, and otherwise needs confirmation.
   */
  async meet(key = null) {
    clearTimeout(this.meeting);
    this.setState({ me: null, signedOut: false });
    try {
      const me = await readSession().catch((problem) => {
        if (key && problem.status === 401) return null; // it has ended
        throw problem;
      });
      if (key && !me) return this.enter(await signIn(key));
      this.enter(me);
      if (key) await this.offer(key);
    } catch (problem) {
      if (problem.status === 0 || problem.status >= 500) {
        this.setState({ problem });
        this.meeting = setTimeout(() => this.meet(key), RETRY_MS);
      } else this.leave(problem.message);
    }
  }

  /** Asks for confirmation to replace the current sign-in by the key in the address. */
  async offer(key) {
    try {
      const owner = await ownerOf(key);
      if (owner.key.id !== this.state.me?.key.id) this.setState({ offered: { key, owner } });
    } catch (problem) {
      this.setState({ problem });
    }
  }

  /** `me`: the sign-in with the offered key; null: declined. */
  answerOffer = (me) => {
    this.setState({ offered: null });
    if (me) this.setState({ hash: location.hash, me: null }, () => this.enter(me)); // remount, so that nothing of the other sign-in remains
  };

  enter = (me) => (me ? this.setState({ me, signedOut: false, problem: null }) : this.leave());

  leave = (reason = "") => this.setState({ me: null, signedOut: true, reason, problem: null });

  signOut = async () => {
    try {
      await signOut();
      dropDraft(); // not visible to the next user of this browser
      this.leave();
    } catch (problem) {
      this.setState({ problem });
    }
  };

  render(_, { hash, me, signedOut, reason, problem, offered }) {
    return html`
      <a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
      <${Header} me=${me} hash=${hash} onSignOut=${this.signOut} />
      <main id="main" tabindex="-1">
        ${problem && html`<p class="alert" role="alert">${problem.message} ${!me && "Trying again…"}</p>`}
        ${signedOut && html`<${SignIn} reason=${reason} onDone=${this.enter} />`}
        ${me && html`<${Page} hash=${hash} me=${me} />`}
        ${me && offered && html`<${OfferedKey} owner=${offered.owner} sent=${offered.key} me=${me} onAnswer=${this.answerOffer} />`}
      </main>`;
  }
}

/** The hash holds the route, so links within the page are handled here. */
function skip(event) {
  event.preventDefault();
  focusOnHeading();
}

function focusOnHeading() {
  const place = document.querySelector("main h1") ?? document.querySelector("main");
  place.tabIndex = -1;
  place.focus();
}

const Header = ({ me, hash, onSignOut }) => html`
  <header class="top">
    <a class="brand" href="#/"><img src="icon.svg" alt="" width="20" height="20" /> Duet</a>
    ${me && html`
      <${Navigation} me=${me} hash=${hash} />
      <p class="account">
        <span class="muted small" title="Project ${me.project.name}, key ${me.key.name}">${me.project.name} · ${me.key.name}</span>
        <button class="quiet" onClick=${onSignOut}>Sign out</button>
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

render(html`<${App} apiKey=${takeKeyFromAddress()} />`, document.getElementById("app"));
