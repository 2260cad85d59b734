// What a page shows is said by its address, so that it can be sent to somebody and gone back to.

/** The query with some of it changed; an empty value takes it out. */
export function addressed(query, changes) {
  const changed = new URLSearchParams(query);
  for (const [name, value] of Object.entries(changes)) value ? changed.set(name, value) : changed.delete(name);
  return changed;
}

/** The page at `path` by its query, with some of that changed. */
export const link = (path, query, changes) => `#${path}?${addressed(query, changes)}`.replace(/\?$/, "");
