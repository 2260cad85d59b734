// Formatting of values.
import { html } from "./html.js";

const formatter = (options) => {
  const format = new Intl.NumberFormat("en", options);
  return (value) => (value == null ? "–" : format.format(value));
};

export const number = formatter({ maximumSignificantDigits: 3, notation: "compact" });
export const percent = formatter({ style: "percent", maximumFractionDigits: 1 });
export const integer = formatter({});
export const signed = formatter({ signDisplay: "exceptZero", minimumFractionDigits: 2, maximumFractionDigits: 2 });
export const tiny = (value) => (value && Math.abs(value) < 0.001 ? value.toExponential(1) : number(value));

/** The progress of a file's background check, by the rows read so far; null: not started. */
export const beingChecked = (rows) => (rows ? `being checked, ${integer(rows)} rows so far…` : "being checked…");

export function bytes(value) {
  const unit = Math.min(4, Math.floor(Math.log2(Math.max(1, value)) / 10));
  return `${number(value / 1024 ** unit)} ${["B", "KiB", "MiB", "GiB", "TiB"][unit]}`;
}

export function duration(seconds) {
  if (seconds == null) return "–";
  const total = Math.max(0, Math.round(seconds));
  const [hours, minutes] = [Math.floor(total / 3600), Math.floor(total / 60) % 60];
  if (hours >= 48) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min ${total % 60} s` : `${total} s`;
}

/** Run time of a job's attempts, without the queue and the pauses before retries. */
export function ranFor({ ran_seconds: ended, running_since: since }) {
  const running = since ? (Date.now() - Date.parse(since)) / 1000 : 0;
  return ended || since ? duration(ended + running) : "–";
}

export const modelName = (job) => {
  const model = job.spec?.model;
  return typeof model === "string" ? model : model?.source;
};

/** A time in the reader's time zone, with the exact time in its title. */
export function time(at) {
  if (!at) return "–";
  const date = new Date(at);
  const sameDay = date.toDateString() === new Date().toDateString();
  const text = date.toLocaleString("en-GB", sameDay ? { timeStyle: "medium" } : { dateStyle: "medium", timeStyle: "short" });
  return html`<time datetime=${at} title=${at}>${text}</time>`;
}

const ISO_MOMENT = /\b(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d))/;

/** A message of the server, with times in the reader's time zone. */
export const sentence = (text) => (text ?? "").split(ISO_MOMENT).map((piece, i) => (i % 2 ? time(piece) : piece));

/** The age in one unit, with the exact time in its title. */
export function ago(at) {
  const seconds = Math.max(0, (Date.now() - Date.parse(at)) / 1000);
  const [size, unit] = UNITS.find(([size]) => seconds >= size) ?? [1, "second"];
  return html`<time datetime=${at} title=${at}>${RELATIVE.format(-Math.floor(seconds / size), unit)}</time>`;
}

const UNITS = [[86_400, "day"], [3_600, "hour"], [60, "minute"]];
const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

// Control, bidirectional and invisible characters, and unpaired surrogates; not line breaks, tabs and the
// joiners that real scripts and emoji need.
const ODD = /([\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\u2028\u2029\u2400\uFFFD])/u;
const PLAIN = new Set(["\n", "\t", "\u200C", "\u200D"]);

/** Text with unusual characters made visible, so that model output cannot hide any. */
export function visible(text) {
  return text.split(ODD).map((piece, index) => (index % 2 && !PLAIN.has(piece) ? odd(piece) : piece));
}

function odd(character) {
  if (character === "\u2400") return html`<span class="odd">NUL</span>`; // as stored in the log
  const code = character.codePointAt(0).toString(16).toUpperCase();
  return html`<span class="odd">U+${code.padStart(4, "0")}</span>`;
}
