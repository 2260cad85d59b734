// The session: a key is exchanged for a cookie that scripts cannot read, and is not stored.
import { del, getJson, postJson, Problem, request, useCsrfToken } from "./api.js";

const REFUSED = "The server refused this key. Is it complete, and not revoked?";
const otherTabs = new BroadcastChannel("duet-session"); // they share the cookie

/** Removes a key from the address and returns it; null if there is none. */
export function takeKeyFromAddress() {
  const key = new URLSearchParams(location.hash.slice(1)).get("key");
  if (key !== null) history.replaceState(null, "", `${location.pathname}${location.search}#/`);
  return key;
}

/** The key and project of this browser's session; null if signed out. */
export async function readSession() {
  const answer = await request("session");
  return known(answer.status === 204 ? null : await answer.json());
}

export async function signIn(key) {
  try {
    const session = known(await postJson("session", { key: key.trim() }));
    otherTabs.postMessage(true);
    return session;
  } catch (problem) {
    throw problem.status === 401 ? new Problem(401, { detail: REFUSED }) : problem;
  }
}

/** Whether the session may create and change jobs and files. */
export const maySubmit = (me) => me.key.scopes.includes("submit");

/** The owner of a key: key and project, as in `/v1/me`; without signing in. */
export async function ownerOf(key) {
  try {
    return await getJson("me", { headers: { authorization: `Bearer ${key.trim()}` } });
  } catch (problem) {
    throw problem.status === 401 ? new Problem(401, { detail: REFUSED }) : problem;
  }
}

export async function signOut() {
  await del("session");
  known(null);
  otherTabs.postMessage(false);
}

/** Calls `act` when another tab signs in (true) or out (false). */
export const onOtherTab = (act) => otherTabs.addEventListener("message", ({ data }) => act(data));

function known(session) {
  useCsrfToken(session?.csrf_token ?? "");
  return session;
}
