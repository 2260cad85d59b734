// A job's curves: a downsampled snapshot from the server, extended by the log. Live steps only.
import uPlot from "../../vendor/uPlot.js";
import { CLOCK } from "./axes.js";

export const MOST_POINTS = 600; // per requested curve; a growing curve is downsampled at twice as many

export class JobLog {
  lastSeq = 0;
  sampleStep = 0; // newest step with samples
  numSamples = 0; // number received
  curves = new Map(); // name -> [{step, attempt, value}], by step

  /** Starts from the server's curves {name: {step, value}}, which include at least all records up to `seq`. */
  load(metrics, seq) {
    this.lastSeq = seq;
    for (const [name, { step, value }] of Object.entries(metrics)) {
      // Attempt 0: any attempt that starts from now on may supersede these.
      this.curves.set(name, step.map((at, i) => ({ step: at, attempt: 0, value: value[i] })));
    }
  }

  /** Starts counting seconds of training from the cumulative cost per step: {step: […], x: […]}. */
  setClock({ step, x }) {
    this.curves.set(CLOCK, step.map((at, i) => ({ step: at, attempt: 0, value: x[i] })));
  }

  /** Adds one record; a record received before changes nothing. */
  add({ seq, kind, step, attempt, payload }) {
    if (seq <= this.lastSeq) return;
    this.lastSeq = seq;
    // First from the claim, also for a fresh start; then from the trainer, once it has resumed.
    const fromStep = kind === "resumed" ? payload.from_step : payload.resumed_from_step;
    if (fromStep !== undefined) this.#supersede(attempt, fromStep);
    if (kind === "sample") [this.sampleStep, this.numSamples] = [step, this.numSamples + 1];
    if (kind !== "metric" && kind !== "eval") return;
    const told = { ...payload, [CLOCK]: kind === "metric" ? (this.last(CLOCK) ?? 0) + payload.step_time : undefined };
    for (const [name, points] of this.curves) {
      if (told[name] === undefined || points.at(-1)?.step >= step) continue;
      points.push({ step, attempt, value: told[name] });
      if (points.length > 2 * MOST_POINTS) this.curves.set(name, thinned(points));
    }
  }

  get isEmpty() {
    return this.lastStep === 0 && this.last("eval/reward") === undefined;
  }

  get lastStep() {
    return Math.max(0, ...[...this.curves.values()].map((points) => points.at(-1)?.step ?? 0));
  }

  /** [steps, values of the first name, …] for uPlot; undefined where a curve has no point. */
  columns(names) {
    return uPlot.join(names.map((name) => {
      const points = this.curves.get(name) ?? [];
      return [points.map(({ step }) => step), points.map(({ value }) => value)];
    }));
  }

  /** The first and the newest value of a metric, or undefined. */
  first = (name) => this.curves.get(name)?.find(({ value }) => value != null)?.value;
  last = (name) => this.curves.get(name)?.findLast(({ value }) => value != null)?.value;

  /** Removes the steps of earlier attempts after the one that this attempt starts from; null: all of them. */
  #supersede(attempt, fromStep) {
    const live = (point) => point.attempt >= attempt || (fromStep !== null && point.step <= fromStep);
    for (const [name, points] of this.curves) this.curves.set(name, points.filter(live));
    this.sampleStep = Math.min(this.sampleStep, fromStep ?? 0);
  }
}

/** Downsamples as the server does: first and last point, and minimum and maximum of each interval. */
function thinned(points) {
  const inner = points.slice(1, -1);
  const width = Math.ceil(inner.length / (MOST_POINTS / 2 - 1));
  const kept = [points[0]];
  for (let start = 0; start < inner.length; start += width) {
    const byValue = inner.slice(start, start + width).sort((a, b) => a.value - b.value);
    kept.push(...new Set([byValue[0], byValue.at(-1)].sort((a, b) => a.step - b.step)));
  }
  return [...kept, points.at(-1)];
}
