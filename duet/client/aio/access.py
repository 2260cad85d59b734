"""Keys, for keys with the scope `admin`; projects, for those with the scope `server`."""

from collections.abc import AsyncIterator, Sequence

from duet.client.aio.transport import AsyncTransport
from duet.objects.access import Key, NewKey, NewProject, Project


class AsyncKeys:
    """`client.keys`: the keys of the project."""

    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    async def create(self, name: str, *, scopes: Sequence[str]) -> NewKey:
        """Create a key; the key itself is shown only once.

        Scopes, limited to your own: `read`, `submit`, `admin` for the project, `server` for all
        projects.
        """
        body = {"name": name, "scopes": scopes}
        return await self._http.post("/v1/keys", NewKey, json=body)

    def list(self, *, limit: int | None = None) -> AsyncIterator[Key]:
        """List the keys, newest first, revoked ones included."""
        return self._http.pages("/v1/keys", Key, limit=limit)

    async def rotate(self, key: str, *, overlap_seconds: int | None = None) -> NewKey:
        """Create a key's successor, shown only once; the old key stays valid for a day, or for
        `overlap_seconds`."""
        return await self._http.post(
            f"/v1/keys/{key}/rotate", NewKey, overlap_seconds=overlap_seconds
        )

    async def revoke(self, key: str) -> None:
        """Revoke a key, with immediate effect."""
        await self._http.delete(f"/v1/keys/{key}")


class AsyncProjects:
    """`client.projects`."""

    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    async def create(
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
        return await self._http.post("/v1/projects", NewProject, json=body)

    def list(self, *, limit: int | None = None) -> AsyncIterator[Project]:
        """List the projects, newest first."""
        return self._http.pages("/v1/projects", Project, limit=limit)

    async def set_quota(
        self, project: str, *, max_running: int | None, max_queued: int | None, weight: int = 1
    ) -> Project:
        """Set a project's limits of running and queued jobs (None: no limit), and its weight: the
        number of jobs it runs per job of a project of weight 1."""
        body = {"max_running": max_running, "max_queued": max_queued, "weight": weight}
        return await self._http.put(f"/v1/projects/{project}/quota", Project, json=body)
