"""Workers."""

from duet.client.aio.transport import AsyncTransport
from duet.objects.fleet import Worker


class AsyncWorkers:
    """`client.workers`."""

    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    async def get(self, worker: str) -> Worker:
        return await self._http.get(f"/v1/workers/{worker}", Worker)

    async def drain(self, worker: str, *, leave: bool = False) -> Worker:
        """Drain a worker, which takes no more jobs; with `leave` it ends once it runs none."""
        return await self._http.post(f"/v1/workers/{worker}/drain", Worker, leave=leave)

    async def undrain(self, worker: str) -> Worker:
        """Let a worker take jobs again."""
        return await self._http.post(f"/v1/workers/{worker}/undrain", Worker)

    async def list(self) -> list[Worker]:
        """List the workers, newest first."""
        return await self._http.all("/v1/workers", Worker)
