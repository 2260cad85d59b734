// X axes of a job's curves: steps, or their cost.
import { valuesAt } from "../charts/series.js";
import { duration, integer, number } from "../ui/format.js";

export const CLOCK = "seconds"; // a step's end in seconds of training, without waits and evaluations

const WHOLE = [...Array(13).keys()].flatMap((power) => [1, 2, 5].map((first) => first * 10 ** power));
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const TIMES = [1, 2, 5, 10, 15, 30, ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
  ...[1, 2, 3, 6, 12, 24, 48, 120, 240, 480].map((n) => n * HOUR)];

const ofTicks = (seconds) => {
  if (seconds >= 2 * HOUR) return `${number(seconds / HOUR)} h`;
  return seconds >= 2 * MINUTE ? `${number(seconds / MINUTE)} min` : `${number(seconds)} s`;
};

/** Each axis: `label`; `curve` with the position of a step; `at`, a position as text; ticks. */
export const AXES = {
  step: { label: "Steps", at: (step) => `step ${integer(step)}`, ticks: number, between: WHOLE },
  rollouts: { label: "Rollouts", curve: "num_rollouts", at: (count) => `${number(count)} rollouts`, ticks: number, between: WHOLE },
  tokens: { label: "Tokens", curve: "num_tokens", at: (count) => `${number(count)} tokens`, ticks: number, between: WHOLE },
  seconds: { label: "Training time", curve: CLOCK, at: duration, ticks: ofTicks, between: TIMES },
};

/** Positions of steps on the axis `curve` of a job's log; step 0, before any completion, is at 0. */
export const placed = (steps, { curves }, { curve }) =>
  (curve ? valuesAt(steps, [{ step: 0, value: 0 }, ...(curves.get(curve) ?? [])]) : steps);
