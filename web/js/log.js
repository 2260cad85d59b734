// A job's records as they arrive, folded into what the page shows: the live ones only.

const MOST_SAMPLES = 300; // groups kept for looking back; the API has them all

export class JobLog {
  lastSeq = 0;
  rows = { metric: [], eval: [], sample: [] }; // each {step, attempt, payload}, by step

  /** Takes one record; a record seen before changes nothing. */
  add({ seq, kind, step, attempt, payload }) {
    if (seq <= this.lastSeq) return;
    this.lastSeq = seq;
    // The claim says it first, for a fresh start too; then the trainer, once it has resumed.
    const fromStep = kind === "resumed" ? payload.from_step : payload.resumed_from_step;
    if (fromStep !== undefined) this.#supersede(attempt, fromStep);
    const rows = this.rows[kind];
    if (!rows) return;
    rows.push({ step, attempt, payload });
    if (kind === "sample" && rows.length > MOST_SAMPLES) rows.shift();
  }

  get isEmpty() {
    return this.rows.metric.length + this.rows.eval.length === 0;
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
    const live = (row) => row.attempt >= attempt || (fromStep !== null && row.step <= fromStep);
    for (const kind in this.rows) this.rows[kind] = this.rows[kind].filter(live);
  }
}
