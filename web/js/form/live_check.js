// A spec is checked and estimated by the server while it is written.
import { postJson } from "../net/api.js";
import { isSame } from "./json_pointer.js";

const PAUSE_MS = 300; // after the last key
const GROUP_SIZES = [2, 16];

/** One question at a time: a newer one takes the place of an older one's answer. */
export class Asking {
  constructor(pauseMs = PAUSE_MS) {
    this.pauseMs = pauseMs;
  }

  /** Calls `question(signal)` once nothing was asked for a while; its answer is dropped if another follows. */
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
 * What the server says of a spec: `errors` at their fields, `estimates` (null: there are none), `unknown`: why there are
 * none of other group sizes; `problem`: why it could not say.
 */
export async function check(spec, signal) {
  const ask = async (sizes) => (await postJson("estimates", { spec, group_sizes: sizes }, { signal })).estimates;
  const right = { errors: [], problem: null, unknown: "" };
  try {
    return { ...right, estimates: await ask(GROUP_SIZES) };
  } catch (refusal) {
    signal.throwIfAborted();
    if (!refusal.errors.length) return { ...right, estimates: null, problem: refusal };
    // The spec may be right, and only not possible with another group size.
    return ask([]).then(
      (estimates) => ({ ...right, estimates, unknown: refusal.message }),
      (problem) => ({ ...right, estimates: null, ...(problem.errors.length ? { errors: problem.errors.map(ofSpec) } : { problem }) }));
  }
}

const ofSpec = ({ pointer, detail }) => ({ pointer: pointer.replace(/^\/spec/, ""), detail });

/** How the rewards of a spec that is right score rows of its data; asked again only where that can have changed. */
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
