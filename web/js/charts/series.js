// The arithmetic of curves: lists of values in, lists of values out.

/** A curve's values at increasing steps: interpolated linearly, constant before the first and after the last point. */
export function valuesAt(steps, points) {
  const known = points.filter(({ value }) => value != null);
  let next = 0;
  return steps.map((step) => {
    while (next < known.length && known[next].step < step) next += 1;
    const [before, after] = [known[next - 1] ?? known[next], known[next] ?? known[next - 1]];
    if (!before || before.step === after.step) return before?.value;
    return before.value + ((after.value - before.value) * (step - before.step)) / (after.step - before.step);
  });
}

/**
 * The debiased exponential moving average, as in TensorBoard.
 * Weight 0: no smoothing; near 1: strong smoothing; gaps stay gaps.
 */
export function smoothed(values, weight) {
  let sum = 0;
  let seen = 0;
  return values.map((value) => {
    if (value == null) return value;
    sum = weight * sum + (1 - weight) * value;
    seen += 1;
    return sum / (1 - weight ** seen);
  });
}

/** Each curve stacked on the previous ones; gaps are interpolated linearly. */
export function stacked(steps, curves, weight) {
  let under = steps.map(() => 0);
  return curves.map((values) => {
    const whole = valuesAt(steps, steps.map((step, i) => ({ step, value: values[i] })));
    under = smoothed(whole, weight).map((value, i) => under[i] + (value ?? 0));
    return under;
  });
}
