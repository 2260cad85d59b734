// A job's records as they arrive, folded into what the page shows: the live ones only.

const MOST_SAMPLES = 300; // groups kept for looking back; the API has them all
const STEPPED = new Set(["metric", "eval", "sample"]);

export class JobLog {
  lastSeq = 0;
  attempt = 1;
  rows = { metric: [], eval: [], sample: [] }; // each {step, attempt, payload}, by step

  /** Takes one record; a record seen before changes nothing. */
  add({ seq, kind, step, attempt, payload }) {
    if (seq <= this.lastSeq) return;
    this.lastSeq = seq;
    if (kind === "resumed") this.#supersede(attempt, payload.from_step);
    if (!STEPPED.has(kind)) return;
    // An attempt that does not begin with `resumed` began from nothing.
    if (attempt > this.attempt) this.#supersede(attempt, null);
    const rows = this.rows[kind];
    rows.push({ step, attempt, payload });
    if (kind === "sample" && rows.length > MOST_SAMPLES) rows.shift();
  }

  get lastStep() {
    return Math.max(this.rows.metric.at(-1)?.step ?? 0, this.rows.eval.at(-1)?.step ?? 0);
  }

  /** [steps, values of the first name, …]: what uPlot draws. */
  columns(kind, names) {
    const rows = this.rows[kind];
    return [rows.map((row) => row.step), ...names.map((name) => rows.map((row) => row.payload[name] ?? null))];
  }

  /** The first and the newest value of a metric, or undefined. */
  first = (kind, name) => this.rows[kind].find((row) => row.payload[name] != null)?.payload[name];
  last = (kind, name) => this.rows[kind].findLast((row) => row.payload[name] != null)?.payload[name];

  sampleSteps() {
    return [...new Set(this.rows.sample.map((row) => row.step))];
  }

  samplesAt(step) {
    return this.rows.sample.filter((row) => row.step === step).map((row) => row.payload);
  }

  /** Earlier attempts count up to the step that this attempt starts from; null: not at all. */
  #supersede(attempt, fromStep) {
    this.attempt = attempt;
    const live = (row) => row.attempt >= attempt || (fromStep !== null && row.step <= fromStep);
    for (const kind of STEPPED) this.rows[kind] = this.rows[kind].filter(live);
  }
}
