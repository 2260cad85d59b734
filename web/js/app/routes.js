// The pages by their address after the `#`.
import { AuditPage } from "../pages/audit.js";
import { ComparePage } from "../pages/compare.js";
import { FilesPage } from "../pages/files.js";
import { FleetPage } from "../pages/fleet.js";
import { JobPage } from "../pages/job.js";
import { JobsPage } from "../pages/jobs.js";
import { KeysPage } from "../pages/keys.js";
import { NewJobPage } from "../pages/new_job.js";
import { ProjectsPage } from "../pages/projects.js";
import { WebhooksPage } from "../pages/webhooks.js";

/**
 * `path`: its `:names` become the page's props, beside `query` (URLSearchParams) and `me` (/v1/me).
 * `nav`: label in the navigation; none: no entry.  `under`: the entry that the page belongs to.
 * `needs`: the scope required for the page.
 */
export const ROUTES = [
  { path: "/", title: "Jobs", nav: "Jobs", page: JobsPage },
  { path: "/new", title: "New job", nav: "New job", needs: "submit", page: NewJobPage },
  { path: "/jobs/:id", title: "Job", under: "/", page: JobPage },
  { path: "/compare/:ids", title: "Compare", under: "/", page: ComparePage },
  { path: "/fleet", title: "Fleet", nav: "Fleet", page: FleetPage },
  { path: "/files", title: "Files", nav: "Files", page: FilesPage },
  { path: "/webhooks", title: "Webhooks", nav: "Webhooks", needs: "admin", page: WebhooksPage },
  { path: "/keys", title: "Keys", nav: "Keys", needs: "admin", page: KeysPage },
  { path: "/audit", title: "Changes", under: "/keys", needs: "admin", page: AuditPage },
  { path: "/projects", title: "Projects", under: "/keys", needs: "server", page: ProjectsPage },
];

/** The route of a hash, with its parameters and its query; null for an unknown page. */
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
