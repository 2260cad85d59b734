// Snippets that submit a spec: for the command line, a shell, a program.
import { writeSpec } from "./spec_text.js";

const SUBMIT = new URL("v1/jobs", document.baseURI);

export const WRITINGS = {
  YAML: (spec) => writeSpec(spec),
  curl: (spec) => [
    `curl ${SUBMIT} \\`,
    `  -H "Authorization: Bearer $DUET_API_KEY" \\`,
    `  -H 'Content-Type: application/json' \\`,
    `  -d '${JSON.stringify(spec, null, 2).replaceAll("'", String.raw`'\''`)}'`,
    "",
  ].join("\n"),
  Python: (spec) => `import duet\n\njob = duet.Client().jobs.create(${literal(spec, "")})\nprint(job.id)\n`,
};

const CONSTANTS = new Map([[null, "None"], [true, "True"], [false, "False"]]);

/** A JSON value as Python; a JSON string is a valid Python string, too. */
function literal(value, indent) {
  if (CONSTANTS.has(value)) return CONSTANTS.get(value);
  if (typeof value !== "object") return JSON.stringify(value);
  const inner = `${indent}    `;
  const entries = Array.isArray(value)
    ? value.map((each) => literal(each, inner))
    : Object.entries(value).map(([name, each]) => `${JSON.stringify(name)}: ${literal(each, inner)}`);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  if (entries.length === 0) return open + close;
  return `${open}\n${entries.map((entry) => `${inner}${entry},\n`).join("")}${indent}${close}`;
}
