// The HTTP API for a signed-in page: the browser sends the session's cookie, and requests that change something send
// the session's CSRF token as well.

const base = new URL("v1/", document.baseURI);
let csrfToken = "";

export function useCsrfToken(token) {
  csrfToken = token;
}

/** An error response: RFC 9457's fields, or status 0 without a response. */
export class Problem extends Error {
  constructor(status, { title, detail, errors = [] } = {}) {
    super(detail || title || `The server answered ${status}.`);
    this.status = status;
    this.errors = errors; // each {detail, pointer} or {detail, parameter}
  }
}

const FINAL = new Set([401, 403, 404]); // responses that a retry does not change
export const isFinal = (error) => error instanceof Problem && FINAL.has(error.status);

const ENDED = "Your session has ended. Sign in again to continue.";
const AWAY = { detail: "The server cannot be reached. Is it running?" };

/** A fetch by this session; throws Problem for anything but success. */
export async function request(path, { headers = {}, ...options } = {}) {
  let answer;
  try {
    answer = await fetch(new URL(path, base), { ...options, cache: "no-store", headers: { ...headers, "x-csrf-token": csrfToken } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, AWAY);
  }
  if (!answer.ok) throw refusal(answer.status, await answer.json().catch(() => ({})));
  return answer;
}

/** The problem in a response; the shell is notified of an expired session. */
function refusal(status, document) {
  if (!["session_ended", "key_missing"].includes(document.code)) return new Problem(status, document);
  dispatchEvent(new CustomEvent("duet:signed-out", { detail: ENDED }));
  return new Problem(status, { detail: ENDED });
}

export const getJson = async (path, options) => (await request(path, options)).json();
export const getText = async (path, options) => (await request(path, options)).text();
export const del = (path) => request(path, { method: "DELETE" });

/** Sends a JSON body, if any; resolves to the response's. */
export async function sendJson(method, path, body, { headers, signal } = {}) {
  const content = body && { headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) };
  return (await request(path, { method, signal, ...content })).json();
}

export const postJson = (path, body, options) => sendJson("POST", path, body, options);

/** Posts a file and resolves to the stored file; `onProgress` is called with the fraction sent, which fetch cannot report. */
export function upload(path, file, { onProgress, signal }) {
  const form = new FormData();
  form.append("file", file);
  const sending = new XMLHttpRequest();
  sending.open("POST", new URL(path, base));
  sending.setRequestHeader("x-csrf-token", csrfToken);
  sending.responseType = "json";
  sending.upload.onprogress = ({ loaded, total }) => onProgress(loaded / total);
  signal.addEventListener("abort", () => sending.abort());
  return new Promise((resolve, reject) => {
    sending.onabort = () => reject(signal.reason);
    sending.onerror = () => reject(new Problem(0, AWAY));
    sending.onload = () => {
      if (sending.status >= 400) reject(refusal(sending.status, sending.response ?? {}));
      else resolve(sending.response);
    };
    sending.send(form);
  });
}

const CHECK_MS = 1000;

/** Waits until the server has checked a file; a large one is checked in the background. */
export async function checked(file, { signal, onCheck }) {
  while (file.status === "processing") {
    await new Promise((resolve) => setTimeout(resolve, CHECK_MS));
    file = await getJson(`files/${file.id}`, { signal });
    onCheck(file.num_rows_checked);
  }
  if (file.status === "failed") throw new Problem(422, { detail: file.problems[0], errors: file.problems.map((detail) => ({ detail })) });
  return file;
}

/** Saves a file of the API; the browser requests it itself, so that a large one is written directly to disk. */
export function download(path, name) {
  Object.assign(document.createElement("a"), { href: new URL(path, base), download: name }).click();
}
