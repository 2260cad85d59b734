// Check and estimate of a spec by the server during editing.
import { postJson } from "../net/api.js";
import { isSame } from "./json_pointer.js";

const PAUSE_MS = 300; // after the last key
const GROUP_SIZES = [2, 16];

/** One request at a time: a newer request discards the response of an older one. */
export class Asking {
  constructor(pauseMs = PAUSE_MS) {
    this.pauseMs = pauseMs;
  }

  /** Calls `question(signal)` after a pause without further calls; a later call discards its result. */
  ask(question) {
    this.stop();
    const leaving = (this.leaving = new AbortController());
    this.timer = setTimeout(() => question(leaving.signal).catch((error) => {
      if (!leaving.signal.aborted) throw error;
    }), this.pauseMs);
  }

  stop() {
    clearTimeout(this.timer);
    this.leaving?.abort();
  }
}

/**
 * Result of a check: `errors` by field, `estimates` (or null), `unknown`: reason for missing estimates of other group
 * sizes; `problem`: reason why the check failed.
 */
export async function check(spec, signal) {
  const ask = async (sizes) => (await postJson("estimates", { spec, group_sizes: sizes }, { signal })).estimates;
  const right = { errors: [], problem: null, unknown: "" };
  try {
    return { ...right, estimates: await ask(GROUP_SIZES) };
  } catch (refusal) {
    signal.throwIfAborted();
    if (!refusal.errors.length) return { ...right, estimates: null, problem: refusal };
    // The spec may be valid, but not with another group size.
    return ask([]).then(
      (estimates) => ({ ...right, estimates, unknown: refusal.message }),
      (problem) => ({ ...right, estimates: null, ...(problem.errors.length ? { errors: problem.errors.map(ofSpec) } : { problem }) }));
  }
}

const ofSpec = ({ pointer, detail }) => ({ pointer: pointer.replace(/^\/spec/, ""), detail });

/** Scores of rows of the data by the rewards of a valid spec; requested again only after a relevant change. */
export function trying() {
  let last = {};
  return async (spec, signal) => {
    const { preset, data, rewards, scoring, rollout } = spec;
    const asked = { preset, data, rewards, scoring, rollout };
    if (isSame(asked, last.asked)) return last.preflight;
    try {
      const { preflight } = await postJson("jobs?validate_only=true", spec, { signal });
      last = { asked, preflight };
      return preflight;
    } catch (problem) {
      signal.throwIfAborted();
      return { rewards: [], not_tried: problem.message };
    }
  };
}
