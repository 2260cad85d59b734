// Comparison of several jobs: curves, and score and cost relative to a baseline.
import uPlot from "../../vendor/uPlot.js";
import { getJson } from "../net/api.js";
import { AXES } from "../job/axes.js";
import { Chart } from "../charts/chart.js";
import { duration, integer, number, percent } from "../ui/format.js";
import { Component, html } from "../ui/html.js";
import { isOver } from "../job/job_table.js";
import { MOST_POINTS } from "../job/job_log.js";
import { Paper } from "../job/paper.js";

const COLOURS = 8; // as in app.css
const REFRESH_MS = 5_000; // while a job has not ended
const METRICS = {
  "eval/accuracy": { title: "Held-out accuracy", isScore: true, format: percent, range: [0, 1],
    why: "Fraction correct on prompts that are never trained on." },
  reward: { title: "Reward", isScore: true, format: number, why: "Mean reward of each step's completions." },
  "groups/tied_fraction": { title: "Tied groups", format: percent, range: [0, 1],
    why: "Groups with equal rewards, which have no gradient." },
  "completions/mean_length": { title: "Completion length", format: number, why: "Mean number of tokens per completion." },
  entropy: { title: "Entropy", format: number, why: "Uncertainty of the policy per token, in nats." },
};

export class ComparePage extends Component {
  state = { metric: "eval/accuracy", x: "step", baseline: "", zoom: null, compared: null, problem: null, version: 0 };

  componentDidMount() {
    document.title = "Compare · Duet";
    this.load();
    this.timer = setInterval(() => document.hidden || this.state.compared?.jobs.every(isOver) || this.load(), REFRESH_MS);
  }

  componentWillUnmount() {
    this.asking?.abort();
    clearInterval(this.timer);
  }

  choose = ({ target: { name, value } }) => this.setState({ [name]: value, zoom: null }, () => this.load());
  zoom = (zoom) => this.setState({ zoom });

  async load() {
    this.asking?.abort();
    const { signal } = (this.asking = new AbortController());
    const { metric, x, baseline } = this.state;
    const asked = new URLSearchParams({ jobs: this.props.ids, metric, x, max_points: MOST_POINTS, ...(baseline && { baseline }) });
    try {
      const compared = await getJson(`compare?${asked}`, { signal });
      this.setState(({ version }) => ({ compared, problem: null, version: version + 1 }));
    } catch (problem) {
      if (!signal.aborted) this.setState({ problem });
    }
  }

  render(_, { metric, x, zoom, compared, problem, version }) {
    return html`
      <h1>Compare</h1>
      <div class="stepper">
        <label class="small">Curve
          <select name="metric" value=${metric} onChange=${this.choose}>
            ${Object.entries(METRICS).map(([name, { title }]) => html`<option value=${name}>${title}</option>`)}
          </select>
        </label>
        <label class="small">Over
          <select name="x" value=${x} onChange=${this.choose}>
            ${Object.entries(AXES).map(([name, { label }]) => html`<option value=${name}>${label}</option>`)}
          </select>
        </label>
        ${compared && html`
          <label class="small">Against
            <select name="baseline" value=${compared.baseline} onChange=${this.choose}>
              ${compared.jobs.map(({ id, name }) => html`<option value=${id}>${name}</option>`)}
            </select>
          </label>`}
        <button disabled=${!zoom} onClick=${() => this.zoom(null)}>Whole run</button>
      </div>
      ${problem && html`<p class="alert" role="alert">${problem.message}</p>`}
      ${!compared && !problem && html`<p class="muted">Loading…</p>`}
      ${compared && html`
        <${Chart} key=${`${compared.metric} ${compared.x}`} chart=${chartOf(compared)} log=${curvesOf(compared)} version=${version}
          axis=${AXES[compared.x]} place=${(places) => places} zoom=${zoom} onZoom=${this.zoom} />
        <h2>Against ${nameOf(compared, compared.baseline)}</h2>
        <${Summary} compared=${compared} />
        <${Paper} />`}`;
  }
}

const nameOf = ({ jobs }, id) => jobs.find((job) => job.id === id).name;

/** Data for Chart: one series per job. */
const chartOf = ({ jobs, metric }) => ({
  ...METRICS[metric],
  dots: metric === "eval/accuracy",
  series: jobs.map((job, i) => ({
    name: job.id, label: `${job.name} (groups of ${job.group_size})`, colour: `--curve-${(i % COLOURS) + 1}`,
  })),
});

/** The compared jobs, with the interface of a job's log. */
const curvesOf = ({ jobs }) => ({
  lastStep: Math.max(...jobs.flatMap((job) => job.x), 0),
  curves: new Map(jobs.map((job) => [job.id, job.x])),
  columns: () => uPlot.join(jobs.map((job) => [job.x, job.value])),
});

const Summary = ({ compared: { jobs, baseline, metric } }) => html`
  <div class="panel scroll" tabindex="0" role="group" aria-label="Summary">
    <table class="jobs">
      <thead>
        <tr>
          <th scope="col">Job</th><th scope="col" class="number wide">Groups of</th>
          <th scope="col" class="number">${METRICS[metric].title}</th><th scope="col" class="number">${METRICS[metric].isScore ? "Score kept" : "Of the baseline’s"}</th>
          <th scope="col" class="number wide">Rollouts</th><th scope="col" class="number">Rollouts saved</th>
          <th scope="col" class="number wide">Step time</th><th scope="col" class="number">Time saved</th>
        </tr>
      </thead>
      <tbody>
        ${jobs.map((job) => html`<${Account} key=${job.id} job=${job} metric=${metric} isBaseline=${job.id === baseline} />`)}
        <tr class="muted">
          <th scope="row">The paper: 2-GRPO against 16-GRPO</th><td class="number wide">2</td>
          <td class="number">–</td><td class="number">${METRICS[metric].isScore ? "97.6–98.1%" : "–"}</td>
          <td class="number wide">12.5% of 16-GRPO’s</td><td class="number">87.5%</td>
          <td class="number wide">about 21% of 16-GRPO’s</td><td class="number">about 79%</td>
        </tr>
      </tbody>
    </table>
  </div>
  <p class="muted small">The paper (arXiv 2510.00977) measured Qwen models of 1.5B and 7B on mathematics; time here covers training steps only: a job’s “ran for” also counts its start, evaluations and checkpoints.</p>`;

function Account({ job, metric, isBaseline }) {
  const { measured, score_kept: kept, rollouts_saved: rollouts, time_saved: seconds } = job;
  const against = (share) => (isBaseline ? "baseline" : percent(share));
  return html`
    <tr>
      <th scope="row"><a href="#/jobs/${job.id}">${job.name}</a></th><td class="number wide">${job.group_size}</td>
      <td class="number">${METRICS[metric].format(measured.score)}</td><td class="number">${against(kept)}</td>
      <td class="number wide">${integer(measured.rollouts)}</td><td class="number">${against(rollouts)}</td>
      <td class="number wide">${duration(measured.seconds)}</td><td class="number">${against(seconds)}</td>
    </tr>`;
}
