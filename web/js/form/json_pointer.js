// Access to a document by JSON pointers (RFC 6901), as used in the server's errors.

const stepsOf = (pointer) => pointer.split("/").slice(1).map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
const isMapping = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

export const join = (pointer, name) => `${pointer}/${String(name).replaceAll("~", "~0").replaceAll("/", "~1")}`;
export const parentOf = (pointer) => pointer.slice(0, pointer.lastIndexOf("/"));
export const isWithin = (pointer, outer) => pointer === outer || pointer.startsWith(`${outer}/`);

export function at(document, pointer) {
  return stepsOf(pointer).reduce(
    (value, step) => (value != null && Object.hasOwn(value, step) ? value[step] : undefined), document);
}

/** A copy with another value at the pointer; undefined removes the field. */
export function put(document, pointer, value) {
  return replaced(document, stepsOf(pointer), value);
}

function replaced(document, [step, ...rest], value) {
  if (step === undefined) return value;
  const copy = Array.isArray(document) ? [...document] : isMapping(document) ? { ...document } : {};
  const inner = replaced(Object.hasOwn(copy, step) ? copy[step] : undefined, rest, value);
  if (inner === undefined) delete copy[step];
  else copy[step] = inner;
  return copy;
}

/** Merges `over` into `under` as the server does: mappings key by key, everything else is replaced. */
export function merge(under, over) {
  if (!isMapping(under) || !isMapping(over)) return over === undefined ? under : over;
  const merged = { ...under };
  for (const [name, value] of Object.entries(over)) merged[name] = merge(under[name], value);
  return merged;
}

/** The smallest spec for which `merge(base, …)` gives the document; undefined if there is no difference. */
export function difference(document, base) {
  if (isSame(document, base)) return undefined;
  if (!isMapping(document) || !isMapping(base)) return document;
  const names = Object.keys({ ...base, ...document }).filter((name) => name in document);
  const differing = names.map((name) => [name, difference(document[name], base[name])]);
  return Object.fromEntries(differing.filter(([, value]) => value !== undefined));
}

/** Whether two documents are equal, in any order of keys. */
export function isSame(one, other) {
  if (one === other || one === null || other === null || typeof one !== "object" || typeof other !== "object") return one === other;
  const [names, others] = [Object.keys(one), Object.keys(other)];
  return Array.isArray(one) === Array.isArray(other) && names.length === others.length
    && names.every((name) => Object.hasOwn(other, name) && isSame(one[name], other[name]));
}
