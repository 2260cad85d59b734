"""A TCP port forwarded to a server that breaks connections, like a bad network."""

import random
import re
import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain, repeat
from urllib.parse import urlsplit

REQUEST = re.compile(rb"^(GET|POST|PUT|PATCH|DELETE) (\S+) HTTP/1\.1\r\n(.*?)\r\n\r\n", re.M | re.S)
Budget = int | None
"""Bytes of responses that a connection carries before it breaks; None: unlimited."""


@dataclass(frozen=True)
class Seen:
    """A forwarded request."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Cutting:
    """Forward with `budgets`, one per connection in order."""

    target: int
    budgets: Iterator[Budget]
    num_cut: int = 0
    port: int = 0
    _went_up: list[bytearray] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def requests(self) -> list[Seen]:
        """Return all requests so far, by connection."""
        found = [match for up in self._went_up for match in REQUEST.findall(up)]
        return [
            Seen(method.decode(), path.decode(), _headers(headers.decode()))
            for method, path, headers in found
        ]

    def carry(self, near: socket.socket, stopping: threading.Event) -> None:
        left, up = next(self.budgets), bytearray()
        self._went_up.append(up)
        with (
            near,
            socket.create_connection(("127.0.0.1", self.target)) as far,
            selectors.DefaultSelector() as ready,
            suppress(OSError),
        ):
            ready.register(near, selectors.EVENT_READ)
            ready.register(far, selectors.EVENT_READ)
            while not stopping.is_set():
                for key, _ in ready.select(0.05):
                    block = (near if key.fileobj is near else far).recv(65536)
                    if not block:
                        return
                    if key.fileobj is near:
                        up += block
                        far.sendall(block)
                        continue
                    near.sendall(block if left is None else block[:left])
                    left = None if left is None else left - len(block)
                    if left is not None and left <= 0:
                        self.num_cut += 1
                        return


def at_random(seed: int, low: int, high: int, *, times: int) -> Iterator[Budget]:
    """Budgets that break `times` connections after `low` to `high` bytes; later ones hold."""
    draw = random.Random(seed)
    return chain((draw.randint(low, high) for _ in range(times)), repeat(None))


@contextmanager
def cutting(url: str, budgets: Iterator[Budget]) -> Iterator[Cutting]:
    """A port in front of the server at `url`."""
    target = urlsplit(url).port
    assert target is not None
    between, stopping = Cutting(target, budgets), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        between.port = listener.getsockname()[1]
        listener.settimeout(0.05)
        accepting = threading.Thread(target=_accept, args=(listener, between, stopping))
        accepting.start()
        try:
            yield between
        finally:
            stopping.set()
            accepting.join()


def _accept(listener: socket.socket, between: Cutting, stopping: threading.Event) -> None:
    threads = []
    while not stopping.is_set():
        with suppress(TimeoutError):
            near, _ = listener.accept()
            threads.append(threading.Thread(target=between.carry, args=(near, stopping)))
            threads[-1].start()
    for thread in threads:
        thread.join()


def _headers(written: str) -> dict[str, str]:
    return {
        name.lower(): value for name, _, value in (h.partition(": ") for h in written.split("\r\n"))
    }
