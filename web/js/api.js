// The HTTP API with the key of this browser tab. The key arrives as `#key=…`, which never reaches a
// server, and lives in sessionStorage: closing the tab signs out.

const STORAGE = "duet_api_key";
const base = new URL("v1/", document.baseURI);

/** An answer that is no success: RFC 9457's fields, or status 0 when no answer came. */
export class Problem extends Error {
  constructor(status, { title, detail, errors = [] } = {}) {
    super(detail || title || `The server answered ${status}.`);
    this.status = status;
    this.errors = errors; // each {detail, pointer} or {detail, parameter}
  }
}

const FINAL = new Set([401, 403, 404]); // answers that asking again does not change
export const isFinal = (error) => error instanceof Problem && FINAL.has(error.status);

export const hasKey = () => sessionStorage.getItem(STORAGE) !== null;

export function signIn(key) {
  sessionStorage.setItem(STORAGE, key.trim());
}

export function signOut(reason = "") {
  sessionStorage.removeItem(STORAGE);
  dispatchEvent(new CustomEvent("duet:signed-out", { detail: reason }));
}

/** Moves a key from the address bar into this tab's storage. */
export function takeKeyFromAddress() {
  const key = new URLSearchParams(location.hash.slice(1)).get("key");
  if (key === null) return false;
  signIn(key);
  history.replaceState(null, "", location.pathname + location.search + "#/");
  return true;
}

const AWAY = { detail: "The server cannot be reached. Is it running?" };

/** A fetch with the key; throws Problem for anything but success, and signs out when the key is refused. */
export async function request(path, { headers = {}, ...options } = {}) {
  const authorization = `Bearer ${sessionStorage.getItem(STORAGE)}`;
  let answer;
  try {
    answer = await fetch(new URL(path, base), { ...options, cache: "no-store", headers: { ...headers, authorization } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, AWAY);
  }
  if (answer.status === 401) signOut("The server refused this key. Is it complete, and not revoked?");
  if (!answer.ok) throw new Problem(answer.status, await answer.json().catch(() => ({})));
  return answer;
}

export const getJson = async (path, options) => (await request(path, options)).json();
export const getText = async (path, options) => (await request(path, options)).text();
export const del = (path) => request(path, { method: "DELETE" });

/** A body in JSON, if any; resolves to the answer's. */
export async function sendJson(method, path, body, headers = {}) {
  const content = body && { headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) };
  return (await request(path, { method, ...content })).json();
}

export const postJson = (path, body, headers) => sendJson("POST", path, body, headers);

/** Posts a file and resolves to what it became; `onProgress` hears which part of it has gone, which fetch cannot say. */
export function upload(path, file, { onProgress, signal }) {
  const form = new FormData();
  form.append("file", file);
  const sending = new XMLHttpRequest();
  sending.open("POST", new URL(path, base));
  sending.setRequestHeader("authorization", `Bearer ${sessionStorage.getItem(STORAGE)}`);
  sending.responseType = "json";
  sending.upload.onprogress = ({ loaded, total }) => onProgress(loaded / total);
  signal.addEventListener("abort", () => sending.abort());
  return new Promise((resolve, reject) => {
    sending.onabort = () => reject(signal.reason);
    sending.onerror = () => reject(new Problem(0, AWAY));
    sending.onload = () => {
      if (sending.status === 401) signOut("The server refused this key. Is it complete, and not revoked?");
      if (sending.status >= 400) reject(new Problem(sending.status, sending.response ?? {}));
      else resolve(sending.response);
    };
    sending.send(form);
  });
}

/** Saves a file of the API: a plain link could not carry the key. */
export async function download(path, name) {
  const url = URL.createObjectURL(await (await request(path)).blob());
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
