// A job's reward as a sparkline, requested once its row is visible.
import { getJson } from "../net/api.js";
import { Component, html } from "../ui/html.js";

const [WIDTH, HEIGHT] = [84, 22];
const POINTS = 40;
const REFRESH_MS = 10_000; // for a growing curve

let last = Promise.resolve();
/** One request at a time, so that many rows do not delay other requests. */
const inTurn = (ask) => (last = last.then(ask, ask));

export class Spark extends Component {
  state = { points: [] };
  drawnStep = 0;
  askedAt = -Infinity;
  leaving = new AbortController();

  componentDidMount() {
    this.seeing = new IntersectionObserver(([entry]) => {
      this.isSeen = entry.isIntersecting;
      this.refresh();
    });
    this.seeing.observe(this.svg);
  }

  componentDidUpdate() {
    this.refresh();
  }

  componentWillUnmount() {
    this.seeing.disconnect();
    this.leaving.abort();
  }

  refresh() {
    const { step } = this.props.job.progress;
    if (!this.isSeen || step === this.drawnStep || performance.now() - this.askedAt < REFRESH_MS) return;
    this.askedAt = performance.now();
    inTurn(() => this.read(step));
  }

  async read(step) {
    const { signal } = this.leaving;
    if (signal.aborted) return;
    try {
      const { metrics } = await getJson(`jobs/${this.props.job.id}/metrics?names=reward&max_points=${POINTS}`, { signal });
      this.drawnStep = step;
      this.setState({ points: pointsOf(metrics.reward) });
    } catch {
      // The list itself reports an unreachable server; the next refresh requests the line again.
    }
  }

  render(_, { points }) {
    return html`
      <svg class="spark" width=${WIDTH} height=${HEIGHT} aria-hidden="true" ref=${(svg) => (this.svg = svg)}>
        ${points.length > 1 && html`<polyline points=${points.join(" ")} />`}
      </svg>`;
  }
}

/** "x,y" of each finite value, from the first step to the last and from the lowest to the highest. */
function pointsOf({ step, value }) {
  const finite = step.map((_, i) => i).filter((i) => value[i] !== null);
  const values = finite.map((i) => value[i]);
  const [low, high, first] = [Math.min(...values), Math.max(...values), step[finite[0]]];
  const span = step[finite.at(-1)] - first || 1;
  return finite.map((i) => {
    const y = (high - value[i]) / (high - low || 1);
    return `${(2 + ((step[i] - first) / span) * (WIDTH - 4)).toFixed(1)},${(2 + y * (HEIGHT - 4)).toFixed(1)}`;
  });
}
