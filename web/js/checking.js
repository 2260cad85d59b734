// A spec is checked and estimated by the server while it is written.
import { postJson } from "./api.js";

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
 * What the server says of a spec: `errors` at their fields, `warnings`, `estimates` (null: there are none, `unknown` says
 * why where the spec is right); `problem`: why it could not say.
 */
export async function check(spec, signal) {
  const [validated, estimated] = await Promise.allSettled([
    postJson("jobs?validate_only=true", spec, { signal }),
    postJson("estimates", { spec, group_sizes: GROUP_SIZES }, { signal }),
  ]);
  signal.throwIfAborted();
  const refusal = validated.reason;
  return {
    errors: refusal?.errors ?? [],
    problem: refusal && !refusal.errors?.length ? refusal : null,
    warnings: validated.value?.warnings ?? [],
    estimates: estimated.value?.estimates ?? null,
    unknown: refusal ? "" : estimated.reason?.message ?? "",
  };
}
