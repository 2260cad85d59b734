// The arithmetic of curves: lists of values in, lists of values out.

/** A curve's values at these rising steps: straight between its points, level before the first and after the last. */
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
 * The exponential moving average with its pull towards zero taken out, as TensorBoard smooths.
 * Weight 0 changes nothing, near 1 the past counts most; gaps stay gaps.
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

/** Each curve on top of those before it; where one has a gap, it runs straight. */
export function stacked(steps, curves, weight) {
  let under = steps.map(() => 0);
  return curves.map((values) => {
    const whole = valuesAt(steps, steps.map((step, i) => ({ step, value: values[i] })));
    under = smoothed(whole, weight).map((value, i) => under[i] + (value ?? 0));
    return under;
  });
}
