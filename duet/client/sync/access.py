# Written by `python -m duet.client.generate_sync`; edit duet/client/aio instead.

"""Keys, for keys with the scope `admin`; projects, for those with the scope `server`."""

from collections.abc import Iterator, Sequence

from duet.client.sync.transport import Transport
from duet.objects.access import Key, NewKey, NewProject, Project


class Keys:
    """`client.keys`: the keys of the project."""

    def __init__(self, http: Transport) -> None:
        self._http = http

    def create(self, name: str, *, scopes: Sequence[str]) -> NewKey:
        """Create a key; the key itself is shown only once.

        Scopes, limited to your own: `read`, `submit`, `admin` for the project, `server` for all
        projects.
        """
        body = {"name": name, "scopes": scopes}
        return self._http.post("/v1/keys", NewKey, json=body)

    def list(self, *, limit: int | None = None) -> Iterator[Key]:
        """List the keys, newest first, revoked ones included."""
        return self._http.pages("/v1/keys", Key, limit=limit)

    def rotate(self, key: str, *, overlap_seconds: int | None = None) -> NewKey:
        """Create a key's successor, shown only once; the old key stays valid for a day, or for
        `overlap_seconds`."""
        return self._http.post(f"/v1/keys/{key}/rotate", NewKey, overlap_seconds=overlap_seconds)

    def revoke(self, key: str) -> None:
        """Revoke a key, with immediate effect."""
        self._http.delete(f"/v1/keys/{key}")


class Projects:
    """`client.projects`."""

    def __init__(self, http: Transport) -> None:
        self._http = http

    def create(
        self,
        name: str,
        *,
        key_name: str | None = None,
        scopes: Sequence[str] | None = None,
        max_running: int | None = None,
        max_queued: int | None = None,
        weight: int | None = None,
    ) -> NewProject:
        """Create a project with its first key, shown only once; None: no limit, weight 1."""
        given = {
            "name": name,
            "key_name": key_name,
            "scopes": scopes,
            "max_running": max_running,
            "max_queued": max_queued,
            "weight": weight,
        }
        body = {field: value for field, value in given.items() if value is not None}
        return self._http.post("/v1/projects", NewProject, json=body)

    def list(self, *, limit: int | None = None) -> Iterator[Project]:
        """List the projects, newest first."""
        return self._http.pages("/v1/projects", Project, limit=limit)

    def set_quota(
        self, project: str, *, max_running: int | None, max_queued: int | None, weight: int = 1
    ) -> Project:
        """Set a project's limits of running and queued jobs (None: no limit), and its weight: the
        number of jobs it runs per job of a project of weight 1."""
        body = {"max_running": max_running, "max_queued": max_queued, "weight": weight}
        return self._http.put(f"/v1/projects/{project}/quota", Project, json=body)
