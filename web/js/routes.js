// The pages, each by its address after the `#`: what the parts of the page link to.
import { ComparePage } from "./compare.js";
import { JobPage } from "./job.js";
import { JobsPage } from "./jobs.js";
import { NewJobPage } from "./new.js";

/**
 * `path`: its `:names` become the page's props, beside `query` (URLSearchParams) and `me` (/v1/me).
 * `nav`: what the navigation calls it; without, no entry.  `under`: the entry that it belongs to.
 * `needs`: the scope without which the page is not offered.
 */
export const ROUTES = [
  { path: "/", title: "Jobs", nav: "Jobs", page: JobsPage },
  { path: "/new", title: "New job", nav: "New job", needs: "submit", page: NewJobPage },
  { path: "/jobs/:id", title: "Job", under: "/", page: JobPage },
  { path: "/compare/:ids", title: "Compare", under: "/", page: ComparePage },
];

/** The route of a hash, with its parameters and its query; null: there is no such page. */
export function routeOf(hash) {
  const [path, search = ""] = (hash.replace(/^#/, "") || "/").split("?", 2);
  for (const route of ROUTES) {
    const params = parametersOf(route.path, path);
    if (params) return { route, path, params, query: new URLSearchParams(search) };
  }
  return null;
}

function parametersOf(pattern, path) {
  const wanted = pattern.split("/");
  const given = path.split("/");
  const fits = wanted.length === given.length
    && wanted.every((part, i) => (part.startsWith(":") ? /^[\w,]+$/.test(given[i]) : part === given[i]));
  return fits && Object.fromEntries(wanted.flatMap((part, i) => (part.startsWith(":") ? [[part.slice(1), given[i]]] : [])));
}
