// The curves of a job: selection, order and explanation.
import { duration, number, percent, tiny } from "../ui/format.js";

const FRACTION = { format: percent, range: [0, 1] };
const one = (name, label) => [{ name, label, colour: "--curve-1" }];
const seconds = (value) => (value == null || value >= 100 ? duration(value) : `${number(value)} s`);

/** `dots`: few points, shown and never smoothed; `stacked`: stacked areas, in this order. */
export const CHARTS = [
  { title: "Reward", series: one("reward", "mean"), format: number,
    why: "Mean reward of the step's completions. It should rise; noise from step to step is normal." },
  { title: "Held-out accuracy", dots: true, series: one("eval/accuracy", "right"), ...FRACTION,
    why: "Fraction correct on prompts that are never trained on: the score that matters. Empty if no reward judges correctness." },
  { title: "Held-out reward", dots: true, series: one("eval/reward", "mean"), format: number,
    why: "Mean reward on prompts that are never trained on." },
  { title: "Tied groups", ...FRACTION,
    series: [{ name: "groups/tied_fraction", label: "tied", colour: "--curve-1" },
      { name: "groups/all_right_fraction", label: "all right", colour: "--curve-3" },
      { name: "groups/all_wrong_fraction", label: "all wrong", colour: "--curve-2" }],
    why: "Groups with equal rewards have no gradient. Near 100% all right: too easy; all wrong: too hard." },
  { title: "Keep rate", ...FRACTION,
    series: [{ name: "groups/keep_rate", label: "kept", colour: "--curve-1" },
      { name: "groups/expected_keep_rate", label: "expected", colour: "--curve-2" }],
    why: "Groups with a gradient, compared with the fraction expected from the pass rate p: 2p(1−p) for pairs. Fewer are kept when prompts differ in difficulty." },
  { title: "Entropy", series: one("entropy", "all completions"), format: number,
    why: "Uncertainty of the policy per token. Exploration ends when it drops to zero." },
  { title: "Gradient norm", series: one("grad_norm", "before clipping"), format: number,
    why: "Size of the gradient. Spikes are clipped; zero means that every group was a tie." },
  { title: "Clip fraction", format: percent,
    series: [{ name: "clip_ratio/low_mean", label: "low", colour: "--curve-1" },
      { name: "clip_ratio/high_mean", label: "high", colour: "--curve-2" }],
    why: "Fraction of tokens limited by the clip bounds. Zero with one update per batch." },
  { title: "Completion length", format: number,
    series: [{ name: "completions/mean_length", label: "mean tokens", colour: "--curve-1" },
      { name: "completions/max_length", label: "longest", colour: "--curve-8" }],
    why: "A jump toward the token limit means that completions no longer end." },
  { title: "Logprob gap", series: one("learnt/sampling_logp_difference/mean", "mean"), format: tiny,
    why: "Difference between sampler and policy, in nats per token. Tiny while the engine has the current weights." },
  { title: "Tokens per second", format: number,
    series: [{ name: "rollout/tokens_per_second", label: "rollout", colour: "--curve-1" },
      { name: "train/tokens_per_second", label: "training", colour: "--curve-2" }],
    why: "Speed of rollouts and of updates." },
  { title: "Time per step", format: seconds, stacked: true,
    series: [{ name: "seconds/rollout", label: "rollout", colour: "--curve-1" },
      { name: "seconds/reward", label: "reward", colour: "--curve-4" },
      { name: "seconds/update", label: "update", colour: "--curve-2" },
      { name: "seconds/sync", label: "sync", colour: "--curve-3" }],
    why: "Time of rollout, scoring, update and weight sync per step, stacked." },
];

/** The metric for best, target and early stopping: display name and format. */
export function scoreOf(job) {
  const metric = job.spec?.evaluation?.metric ?? "eval/accuracy";
  const isFraction = /(accuracy|pass@\d+|majority@\d+)$/.test(metric);
  const title = { "eval/accuracy": "Held-out accuracy", "eval/reward": "Held-out reward" }[metric] ?? metric;
  return { metric, title, format: isFraction ? percent : number };
}

/** The names of all curves, for the server. */
export const CURVES = [...new Set(CHARTS.flatMap((chart) => chart.series.map((series) => series.name)))];
