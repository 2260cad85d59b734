// A job's curves: a snapshot that the server has thinned, and what its log adds to it. Live steps only.
import uPlot from "../../vendor/uPlot.js";
import { CLOCK } from "./axes.js";

export const MOST_POINTS = 600; // of a curve, as asked for; a curve that grows is thinned at twice as many

export class JobLog {
  lastSeq = 0;
  sampleStep = 0; // the newest that has samples
  numSamples = 0; // that have arrived here
  curves = new Map(); // name -> [{step, attempt, value}], by step

  /** Begins from the server's curves {name: {step, value}}, which hold all records up to `seq` at least. */
  load(metrics, seq) {
    this.lastSeq = seq;
    for (const [name, { step, value }] of Object.entries(metrics)) {
      // Attempt 0: whichever attempt wrote these, one that begins from now on takes them back.
      this.curves.set(name, step.map((at, i) => ({ step: at, attempt: 0, value: value[i] })));
    }
  }

  /** Begins to count seconds of training, from what each step had cost by its end: {step: […], x: […]}. */
  setClock({ step, x }) {
    this.curves.set(CLOCK, step.map((at, i) => ({ step: at, attempt: 0, value: x[i] })));
  }

  /** Takes one record; a record seen before changes nothing. */
  add({ seq, kind, step, attempt, payload }) {
    if (seq <= this.lastSeq) return;
    this.lastSeq = seq;
    // The claim says it first, for a fresh start too; then the trainer, once it has resumed.
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

  /** [steps, values of the first name, …]: what uPlot draws; undefined where a curve has no point. */
  columns(names) {
    return uPlot.join(names.map((name) => {
      const points = this.curves.get(name) ?? [];
      return [points.map(({ step }) => step), points.map(({ value }) => value)];
    }));
  }

  /** The first and the newest value of a metric, or undefined. */
  first = (name) => this.curves.get(name)?.find(({ value }) => value != null)?.value;
  last = (name) => this.curves.get(name)?.findLast(({ value }) => value != null)?.value;

  /** Earlier attempts count up to the step that this attempt starts from; null: not at all. */
  #supersede(attempt, fromStep) {
    const live = (point) => point.attempt >= attempt || (fromStep !== null && point.step <= fromStep);
    for (const [name, points] of this.curves) this.curves.set(name, points.filter(live));
    this.sampleStep = Math.min(this.sampleStep, fromStep ?? 0);
  }
}

/** As the server thins: the first and the last point, and of each stretch the lowest and the highest. */
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
