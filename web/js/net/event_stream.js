// Server-sent events by fetch: EventSource cannot start after a given record, nor detect a silent connection.
import { isFinal, Problem, request } from "./api.js";

const SILENCE_MS = 60_000; // the server pings every few seconds; longer silence is a dead connection
const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 10_000;
const BUSY_MS = 50; // of reading records before the page may render and respond

/**
 * Follows a job's log to its end, starting after the record `after`; each reconnection continues after the last record
 * received. `onState` is called with "live", "reconnecting" and "ended". Throws Problem if the job does not exist or the key
 * is refused; returns when `signal` aborts.
 */
export async function follow(jobId, { after, onRecord, onState, signal }) {
  let lastId = String(after);
  let restedAt = performance.now();
  let failures = 0;
  let ended = false;
  while (!ended) {
    try {
      for await (const event of listen(`jobs/${jobId}/stream`, lastId, signal, () => onState("live"))) {
        if (event.id) lastId = event.id;
        failures = 0;
        if (event.name === "end") ended = true; // the server closes the connection
        else onRecord(JSON.parse(event.data));
        if (performance.now() - restedAt < BUSY_MS) continue;
        await new Promise((wake) => setTimeout(wake));
        restedAt = performance.now();
      }
    } catch (error) {
      if (!(error instanceof Problem) || isFinal(error)) throw error;
    }
    if (signal.aborted) return;
    onState(ended ? "ended" : "reconnecting");
    if (ended) return;
    const delay = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** failures++);
    await new Promise((wake) => setTimeout(wake, delay * (0.5 + Math.random() / 2)));
  }
}

async function* listen(path, lastId, signal, onOpen) {
  const line = new AbortController();
  const drop = () => line.abort();
  signal.addEventListener("abort", drop);
  let silence = setTimeout(drop, SILENCE_MS);
  let whole = false;
  try {
    const headers = { accept: "text/event-stream", "last-event-id": lastId };
    const answer = await request(path, { headers, signal: line.signal });
    onOpen();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    const parser = new Parser();
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      clearTimeout(silence);
      silence = setTimeout(drop, SILENCE_MS);
      yield* parser.feed(read.value);
    }
    whole = true;
  } catch (error) {
    throw error instanceof Problem ? error : new Problem(0);
  } finally {
    if (!whole) drop();
    clearTimeout(silence);
    signal.removeEventListener("abort", drop);
  }
}

/** Parses text chunks into events {id, name, data}; comments (pings) give none. */
export class Parser {
  rest = "";
  event = { id: "", name: "message", data: [] };

  *feed(text) {
    const lines = (this.rest + text).split(/\r?\n/);
    this.rest = lines.pop();
    for (const line of lines) {
      if (line !== "") this.#field(line);
      else if (this.event.data.length > 0) yield this.#take();
    }
  }

  #field(line) {
    const [, name, value] = /^([^:]*):? ?(.*)$/s.exec(line);
    if (name === "id") this.event.id = value;
    if (name === "event") this.event.name = value;
    if (name === "data") this.event.data.push(value);
  }

  #take() {
    const { id, name, data } = this.event;
    this.event = { id: "", name: "message", data: [] };
    return { id, name, data: data.join("\n") };
  }
}
