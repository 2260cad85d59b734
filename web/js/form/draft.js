// The job that is being written, kept in this tab until it is submitted: leaving the page loses nothing.
import { isSame } from "./json_pointer.js";

const STORAGE = "duet_new_job";

/** What was written for the same beginning (`origin`: the address's query), or null. */
export function readDraft(origin) {
  const draft = JSON.parse(sessionStorage.getItem(STORAGE));
  return draft?.origin === origin ? draft : null;
}

export const keepDraft = (draft) => sessionStorage.setItem(STORAGE, JSON.stringify(draft));
export const dropDraft = () => sessionStorage.removeItem(STORAGE);

/** The key under which a spec is sent: the same for the same spec, so that sending it again makes no second job. */
export function sendingOf(spec, last) {
  return last && isSame(last.spec, spec) ? last : { spec, key: randomKey() };
}

/** Not crypto.randomUUID, which only a page by https has. */
const randomKey = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (word) => word.toString(36)).join("-");
