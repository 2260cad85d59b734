// The end of the trainer's log.
import { getText } from "../net/api.js";
import { integer, visible } from "../ui/format.js";
import { Component, html } from "../ui/html.js";
import { isOver } from "./job_table.js";

const LOG_LINES = 200; // at first; "Older lines" reads five times as many
const MOST_LOG_LINES = 100_000; // the server's limit
const LOG_MS = 5_000;

/** The last lines of the trainer's log, read again every few seconds while expanded. */
export class LogTail extends Component {
  state = { text: "", lines: LOG_LINES };

  componentWillUnmount() {
    clearInterval(this.timer);
  }

  toggle = ({ currentTarget: { open } }) => {
    clearInterval(this.timer);
    if (open) this.timer = setInterval(() => isOver(this.props.job) || this.read(), LOG_MS);
    if (open) this.read();
  };

  older = () =>
    this.setState(({ lines }) => ({ lines: Math.min(MOST_LOG_LINES, lines * 5) }), () => this.read());

  async read() {
    try {
      const text = await getText(`jobs/${this.props.job.id}/logs?tail=${this.state.lines}`);
      this.setState({ text: text || "Nothing written yet." });
    } catch (problem) {
      this.setState({ text: problem.status === 404 ? "No log yet." : problem.message });
    }
  }

  render(_, { text, lines }) {
    const isWhole = text.split("\n").length <= lines || lines === MOST_LOG_LINES;
    return html`
      <details class="panel log" onToggle=${this.toggle}>
        <summary>Last ${integer(lines)} lines of the trainer's output, in the time zone of its worker</summary>
        ${!isWhole && html`<button class="quiet" onClick=${this.older}>Older lines</button>`}
        <pre class="text" tabindex="0" role="group" aria-label="Log">${visible(text)}</pre>
      </details>`;
  }
}
