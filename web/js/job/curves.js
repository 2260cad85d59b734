// A job's curves with their shared controls: axis, smoothing and zoom.
import { AXES, placed } from "./axes.js";
import { Chart } from "../charts/chart.js";
import { CHARTS } from "./chart_table.js";
import { Component, html } from "../ui/html.js";

const HEAVIEST = 0.99; // a weight of 1 would be constant

export class Curves extends Component {
  state = { axis: "step", weight: 0, zoom: null };

  over = ({ target: { value } }) => this.setState({ axis: value, zoom: null });
  smooth = ({ target: { value } }) => this.setState({ weight: Number(value) });
  zoom = (zoom) => this.setState({ zoom });
  place = (steps) => placed(steps, this.props.log, AXES[this.state.axis]);

  render({ log, marks, version }, { axis, weight, zoom }) {
    if (log.isEmpty) return html`<p class="muted">Curves appear with the first step.</p>`;
    return html`
      <div class="stepper">
        <label class="small">Over
          <select value=${axis} onChange=${this.over}>
            ${Object.entries(AXES).map(([name, { label }]) => html`<option value=${name}>${label}</option>`)}
          </select>
        </label>
        <label class="small smoothing">Smoothing
          <input type="range" min="0" max=${HEAVIEST} step="0.01" value=${weight} onInput=${this.smooth} />
          <output class="tabular">${weight.toFixed(2)}</output>
        </label>
        <button disabled=${!zoom} onClick=${() => this.zoom(null)}>Whole run</button>
        <span class="muted small">
          <span class="wide">Drag across a curve to zoom in, double-click to come back. </span>
          ${marks.length > 0 && "Dashed line: an attempt resumed; red: after a fault."}
        </span>
      </div>
      <div class="charts">
        ${CHARTS.map((chart) => html`
          <${Chart} key=${chart.title} chart=${chart} log=${log} version=${version} axis=${AXES[axis]}
            place=${this.place} zoom=${zoom} onZoom=${this.zoom} weight=${weight} marks=${marks} />`)}
      </div>`;
  }
}
