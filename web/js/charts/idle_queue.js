// A work queue: one piece per task, so that the page can render and respond between pieces.
const waiting = new Set();

/** Schedules work; a repeated request before it runs is done only once. */
export function inTurn(work) {
  if (waiting.size === 0) setTimeout(next);
  waiting.add(work);
}

export const forget = (work) => waiting.delete(work);

function next() {
  const [work] = waiting;
  waiting.delete(work);
  if (waiting.size > 0) setTimeout(next);
  work?.(); // all work may have been cancelled
}
