# Written by `python -m duet.client.generate_sync`; edit duet/client/aio instead.

"""Workers."""

from duet.client.sync.transport import Transport
from duet.objects.fleet import Worker


class Workers:
    """`client.workers`."""

    def __init__(self, http: Transport) -> None:
        self._http = http

    def get(self, worker: str) -> Worker:
        return self._http.get(f"/v1/workers/{worker}", Worker)

    def drain(self, worker: str, *, leave: bool = False) -> Worker:
        """Drain a worker, which takes no more jobs; with `leave` it ends once it runs none."""
        return self._http.post(f"/v1/workers/{worker}/drain", Worker, leave=leave)

    def undrain(self, worker: str) -> Worker:
        """Let a worker take jobs again."""
        return self._http.post(f"/v1/workers/{worker}/undrain", Worker)

    def list(self) -> list[Worker]:
        """List the workers, newest first."""
        return self._http.all("/v1/workers", Worker)
