// The job that is being written, kept by the browser until it is submitted: no closed tab loses it, and another tab has
// it too.  It is the project's that is signed in, and goes when one signs out.
import { isSame } from "./json_pointer.js";

const STORAGE = "duet_new_job";

/** What was written for the same beginning (`origin`: the address's query) in the same project, or null. */
export function readDraft(origin, project) {
  const draft = JSON.parse(localStorage.getItem(STORAGE));
  return draft?.origin === origin && draft.project === project ? draft : null;
}

export const keepDraft = (draft) => localStorage.setItem(STORAGE, JSON.stringify(draft));
export const dropDraft = () => localStorage.removeItem(STORAGE);

/** The key under which a spec is sent: the same for the same spec, so that sending it again makes no second job. */
export function sendingOf(spec, last) {
  return last && isSame(last.spec, spec) ? last : { spec, key: randomKey() };
}

/** Not crypto.randomUUID, which only a page by https has. */
const randomKey = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (word) => word.toString(36)).join("-");
