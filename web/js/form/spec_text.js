// A spec as text (YAML, which includes JSON), and single values as typed.
import { dump, load } from "../../vendor/js-yaml.js";

const AS_IS = { lineWidth: -1, noRefs: true };

/** The text's mapping. Throws an Error that names the invalid line and the reason. */
export function readSpec(text) {
  if (text.replace(/^\s*#.*$/gm, "").trim() === "") return {};
  let spec;
  try {
    spec = load(text);
  } catch (error) {
    throw new Error(error.mark ? `Line ${error.mark.line + 1}: ${error.reason}.` : `Not valid YAML: ${error.message}.`);
  }
  if (spec === null || typeof spec !== "object" || Array.isArray(spec)) {
    throw new Error("Write settings such as “preset: demo”, one per line.");
  }
  const lost = unsendable(spec);
  if (lost !== undefined) throw new Error(`A browser cannot send ${lost} unchanged: use another number, or duet submit.`);
  return spec;
}

export const writeSpec = (spec) => (Object.keys(spec).length === 0 ? "" : dump(spec, AS_IS));

/** A number, a list or a mapping as typed; undefined for nothing. Anything else stays text, which the server refuses. */
export function readValue(text) {
  if (text.trim() === "") return undefined;
  try {
    const value = load(text);
    return unsendable(value) === undefined ? value : text;
  } catch {
    return text;
  }
}

export function writeValue(value) {
  if (value === undefined) return "";
  return typeof value === "number" ? String(value) : dump(value, { ...AS_IS, flowLevel: 0 }).trimEnd();
}

/** A number that JSON or a double cannot represent exactly. */
function unsendable(value) {
  if (typeof value === "number") return Number.isSafeInteger(value) || (Number.isFinite(value) && !Number.isInteger(value)) ? undefined : value;
  if (value === null || typeof value !== "object") return undefined;
  return Object.values(value).map(unsendable).find((each) => each !== undefined);
}
