// The view of a page is in its address, so that it can be shared and revisited.

/** The query with changed parameters; an empty value removes one. */
export function addressed(query, changes) {
  const changed = new URLSearchParams(query);
  for (const [name, value] of Object.entries(changes)) value ? changed.set(name, value) : changed.delete(name);
  return changed;
}

/** The address of `path` with changed query parameters. */
export const link = (path, query, changes) => `#${path}?${addressed(query, changes)}`.replace(/\?$/, "");
