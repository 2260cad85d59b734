// The curves: which ones, in which order, and what each says.
import uPlot from "../vendor/uPlot.js";
import { number, percent, tiny } from "./format.js";
import { Component, html } from "./html.js";

const HEIGHT = 172;
const WHOLE = [...Array(13).keys()].flatMap((power) => [1, 2, 5].map((first) => first * 10 ** power)); // ticks
const MOST_DOTS = 100; // more would run together
const FRACTION = { format: percent, range: [0, 1] };
const one = (name, label) => [{ name, label, colour: "--curve-1" }];

export const CHARTS = [
  { title: "Reward", series: one("reward", "mean"), format: number,
    why: "What the step's completions earned. It should rise; jitter from step to step is normal." },
  { title: "Held-out accuracy", dots: true, series: one("eval/accuracy", "right"), ...FRACTION,
    why: "Share right on prompts that are never trained on: the score that counts." },
  { title: "Tied groups", ...FRACTION,
    series: [{ name: "groups/tied_fraction", label: "tied", colour: "--curve-1" },
      { name: "groups/all_right_fraction", label: "all right", colour: "--curve-3" },
      { name: "groups/all_wrong_fraction", label: "all wrong", colour: "--curve-2" }],
    why: "Groups with equal rewards teach nothing. Near 100% all right: too easy; all wrong: too hard." },
  { title: "Gradient norm", series: one("grad_norm", "before clipping"), format: number,
    why: "How hard each step pushes. Spikes are clipped; zero means that every group was tied." },
  { title: "Entropy", series: one("entropy", "nats"), format: number,
    why: "How undecided the policy is at each token. A fall to zero ends exploration." },
  { title: "Clip fraction", format: percent,
    series: [{ name: "clip_ratio/low_mean", label: "low", colour: "--curve-1" },
      { name: "clip_ratio/high_mean", label: "high", colour: "--curve-2" }],
    why: "Tokens held back by the clip bounds. Zero while each batch gives one update." },
  { title: "Completion length", series: one("completions/mean_length", "mean tokens"), format: number,
    why: "A jump towards the token limit means that the policy rambles." },
  { title: "Logprob gap", format: tiny,
    series: [{ name: "sampling/sampling_logp_difference/mean", label: "mean", colour: "--curve-1" }],
    why: "Sampler against policy, nats a token. It stays tiny while the engine has the current weights." },
  { title: "Tokens per second", format: number,
    series: [{ name: "rollout/tokens_per_second", label: "rollout", colour: "--curve-1" },
      { name: "train/tokens_per_second", label: "training", colour: "--curve-2" }],
    why: "Speed of drawing completions and of learning from them." },
];

/** The names of all curves, for the server. */
export const CURVES = [...new Set(CHARTS.flatMap((chart) => chart.series.map((series) => series.name)))];

const darkness = matchMedia("(prefers-color-scheme: dark)");

/** One chart of `chart` (a row above) over `log`; `version` says that the log has grown. */
export class Chart extends Component {
  state = { index: null };

  componentDidMount() {
    this.build();
    this.resizing = new ResizeObserver(([{ contentRect }]) => this.resize(contentRect.width));
    this.resizing.observe(this.box);
    darkness.addEventListener("change", this.build);
  }

  componentDidUpdate({ version }) {
    if (version !== this.props.version) this.plot.setData(this.columns());
  }

  componentWillUnmount() {
    darkness.removeEventListener("change", this.build);
    this.resizing.disconnect();
    this.plot.destroy();
  }

  columns() {
    const { log, chart } = this.props;
    return log.columns(chart.series.map((series) => series.name));
  }

  build = () => {
    this.plot?.destroy();
    const hover = ({ cursor: { idx: index } }) => index !== this.state.index && this.setState({ index });
    const options = plotOptions(this.props, { width: this.box.clientWidth, hover });
    this.plot = new uPlot(options, this.columns(), this.box);
  };

  resize(width) {
    if (width > 0 && width !== this.plot.width) this.plot.setSize({ width, height: HEIGHT });
  }

  render({ chart }, { index }) {
    const [steps, ...values] = this.columns();
    const at = index != null && index < steps.length ? index : steps.length - 1;
    const shown = chart.series.map((series, i) => ({ ...series, text: chart.format(known(values[i], at)) }));
    const place = chart.at ?? ((step) => `step ${step}`);
    const said = shown.map((series) => `${series.label} ${series.text}`).join(", ");
    return html`
      <figure class="panel chart" aria-label=${chart.title}>
        <figcaption>
          <h3>${chart.title} <span class="readout">${steps.length > 0 && place(steps[at])}</span></h3>
          <p class="readout">
            ${shown.map((series) => html`<span class="legend ${series.colour.slice(2)}">${series.label} <b>${series.text}</b></span>`)}
          </p>
        </figcaption>
        <div class="plot" role="img" ref=${(box) => (this.box = box)}
          aria-label=${steps.length ? `${chart.title} at ${place(steps[at])}: ${said}` : `${chart.title}: no values yet`}>
        </div>
        <p class="muted small">${chart.why}</p>
      </figure>`;
  }
}

/** The value at a place, or the last one before it: each curve is thinned by itself. */
const known = (values, at) => values.slice(0, at + 1).findLast((value) => value != null);

function plotOptions({ chart, log }, { width, hover }) {
  const css = getComputedStyle(document.documentElement);
  const colour = (name) => css.getPropertyValue(name).trim();
  const axis = {
    stroke: colour("--muted"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
    font: "11px system-ui, sans-serif",
  };
  return {
    width,
    height: HEIGHT,
    padding: [10, 12, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, sync: { key: "steps", scales: ["x", null] }, points: { size: 6 } },
    scales: {
      x: { time: false, range: () => [0, Math.max(1, log.lastStep)] },
      y: { range: (_, low, high) => chart.range ?? roomy(low, high) },
    },
    axes: [
      { ...axis, size: 28, gap: 6, space: 60, incrs: WHOLE, values: (_, splits) => splits.map(number) },
      { ...axis, size: 52, gap: 6, space: 32, values: (_, splits) => splits.map((split) => chart.format(split)) },
    ],
    series: [{}, ...chart.series.map((series) => ({
      stroke: colour(series.colour),
      width: 1.75,
      spanGaps: true,
      points: { size: 5, fill: colour(series.colour), show: (chart.dots && log.curves.get(series.name)?.length <= MOST_DOTS) || undefined },
    }))],
    hooks: { setCursor: [hover] },
  };
}

/** From zero (or the lowest value below it) to a little over the highest. */
function roomy(low, high) {
  const [bottom, top] = [Math.min(0, low ?? 0), Math.max(0, high ?? 0)];
  return [bottom, top + (top - bottom || 1) * 0.08];
}
