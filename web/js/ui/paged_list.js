// A list of the API, page by page, reloaded after changes.
import { getJson } from "../net/api.js";
import { Component, html } from "./html.js";

/** `path` of the list; `every`: refresh interval in milliseconds; the child renders (items, reload). */
export class Listing extends Component {
  state = { items: null, next: null, problem: null };

  componentDidMount() {
    this.reload();
    if (this.props.every) document.addEventListener("visibilitychange", this.refresh);
  }

  componentWillUnmount() {
    clearTimeout(this.timer);
    document.removeEventListener("visibilitychange", this.refresh);
    this.isGone = true;
  }

  /** Polling pauses while the page is hidden. */
  refresh = () => document.hidden || this.reload();

  /** Reloads the pages shown, from the first one. */
  reload = () => this.read(async () => {
    const shown = this.state.items?.length ?? 0;
    let { data, next } = await this.page();
    while (next && data.length < shown) {
      const following = await this.page(next);
      [data, next] = [[...data, ...following.data], following.next];
    }
    return { items: data, next };
  });

  more = () => this.read(async () => {
    const { data, next } = await this.page(this.state.next);
    return { items: [...this.state.items, ...data], next };
  });

  page(after) {
    const { path } = this.props;
    return getJson(after ? `${path}${path.includes("?") ? "&" : "?"}after=${encodeURIComponent(after)}` : path);
  }

  async read(ask) {
    try {
      const found = await ask();
      if (!this.isGone) this.setState({ ...found, problem: null });
    } catch (problem) {
      if (!this.isGone) this.setState({ problem });
    }
    clearTimeout(this.timer);
    if (this.props.every && !this.isGone) this.timer = setTimeout(this.refresh, this.props.every);
  }

  render({ children: draw }, { items, next, problem }) {
    return html`
      ${problem && html`<p class="alert" role="alert">${problem.message}</p>`}
      ${items === null && !problem && html`<p class="muted">Loading…</p>`}
      ${items && draw(items, this.reload)}
      ${next && html`<button onClick=${this.more}>Show more</button>`}`;
  }
}
