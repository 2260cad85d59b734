// One chart: a uPlot canvas, and a text of its values at the cursor or at its end.
import uPlot from "../../vendor/uPlot.js";
import { smoothed, stacked } from "./series.js";
import { Component, html } from "../ui/html.js";
import { HEIGHT, plotOptions } from "./plot_options.js";
import { forget, inTurn } from "./idle_queue.js";

const darkness = matchMedia("(prefers-color-scheme: dark)");

/**
 * One chart of `chart` (a row of chart_table.js) over the values in `log`; `version` changes when the log grows.
 *
 * `log.columns(names)` returns [steps, values, …]; `place(steps)` their positions on `axis` (a row of axes.js).
 * `zoom` is [from, to] on that axis, or null; `onZoom` is called with the user's selection.  `weight`: smoothing weight.
 * `marks`: steps to mark, [{step, isFault}].
 */
export class Chart extends Component {
  state = { index: null };

  componentDidMount() {
    this.rebuild();
    this.resizing = new ResizeObserver(([{ contentRect }]) => this.resize(contentRect.width));
    this.resizing.observe(this.box);
    darkness.addEventListener("change", this.rebuild);
  }

  componentDidUpdate(before) {
    const changed = (name) => before[name] !== this.props[name];
    if (changed("axis") || !before.weight !== !this.props.weight) this.rebuild();
    else if (["version", "zoom", "weight"].some(changed) || before.marks?.length !== this.props.marks?.length) inTurn(this.update);
  }

  componentWillUnmount() {
    darkness.removeEventListener("change", this.rebuild);
    this.resizing.disconnect();
    forget(this.build);
    forget(this.update);
    this.plot?.destroy();
  }

  columns() {
    const { log, chart } = this.props;
    return log.columns(chart.series.map((series) => series.name));
  }

  /** Data for uPlot: positions, then lines; for smoothed lines the raw curves as well. */
  drawn() {
    const { chart, place, weight = 0 } = this.props;
    const [steps, ...values] = this.columns();
    if (chart.stacked) return [place(steps), ...stacked(steps, values, weight)];
    if (!weight || chart.dots) return [place(steps), ...values];
    return [place(steps), ...values.map((curve) => smoothed(curve, weight)), ...values];
  }

  rebuild = () => {
    forget(this.update); // pending work of the old plot
    inTurn(this.build);
  };

  build = () => {
    this.plot?.destroy();
    const hover = ({ cursor: { idx: index } }) => index !== this.state.index && this.setState({ index });
    const options = plotOptions(() => this.props, { width: this.box.clientWidth, hover });
    this.plot = new uPlot(options, this.drawn(), this.box);
  };

  update = () => this.plot.setData(this.drawn());

  resize(width) {
    if (this.plot && width > 0 && width !== this.plot.width) this.plot.setSize({ width, height: HEIGHT });
  }

  render({ chart, axis, place }, { index }) {
    const [steps, ...values] = this.columns();
    const at = index != null && index < steps.length ? index : steps.length - 1;
    const shown = chart.series.map((series, i) => ({ ...series, text: chart.format(known(values[i], at)) }));
    const where = steps.length > 0 ? axis.at(place(steps)[at]) : "";
    const said = shown.map((series) => `${series.label} ${series.text}`).join(", ");
    return html`
      <figure class="panel chart" aria-label=${chart.title}>
        <figcaption>
          <h3>${chart.title} <span class="readout">${where}</span></h3>
          <p class="readout">
            ${shown.map((series) => html`<span class="legend ${series.colour.slice(2)}">${series.label} <b>${series.text}</b></span>`)}
          </p>
        </figcaption>
        <div class="plot" role="img" ref=${(box) => (this.box = box)}
          aria-label=${where ? `${chart.title} at ${where}: ${said}` : `${chart.title}: no values yet`}>
        </div>
        <p class="muted small">${chart.why}</p>
      </figure>`;
  }
}

/** The value at a position, or the last one before it: each curve is downsampled separately. */
const known = (values, at) => values.slice(0, at + 1).findLast((value) => value != null);
