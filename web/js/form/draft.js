// The draft of a new job, stored by the browser until it is submitted, also for other tabs.  It belongs to the project
// signed in, and is deleted at sign-out.
import { isSame } from "./json_pointer.js";

const STORAGE = "duet_new_job";

/** The draft with the same origin (`origin`: the address's query) in the same project, or null. */
export function readDraft(origin, project) {
  const draft = JSON.parse(localStorage.getItem(STORAGE));
  return draft?.origin === origin && draft.project === project ? draft : null;
}

export const keepDraft = (draft) => localStorage.setItem(STORAGE, JSON.stringify(draft));
export const dropDraft = () => localStorage.removeItem(STORAGE);

/** Idempotency key of a spec: the same for the same spec, so that a retry creates no second job. */
export function sendingOf(spec, last) {
  return last && isSame(last.spec, spec) ? last : { spec, key: randomKey() };
}

/** A random id; crypto.randomUUID exists only over https. */
const randomKey = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (word) => word.toString(36)).join("-");
