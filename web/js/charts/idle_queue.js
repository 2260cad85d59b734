// Work that takes turns: one piece a task, so that between two of them the page can draw and answer.
const waiting = new Set();

/** Does the work soon; what is asked for again before its turn is done once. */
export function inTurn(work) {
  if (waiting.size === 0) setTimeout(next);
  waiting.add(work);
}

export const forget = (work) => waiting.delete(work);

function next() {
  const [work] = waiting;
  waiting.delete(work);
  if (waiting.size > 0) setTimeout(next);
  work?.(); // all may have been forgotten
}
