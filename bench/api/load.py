"""Load generator: clients in a separate process, each with one request at a time."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

from bench.turns import Turns


@dataclass(frozen=True)
class Load:
    """Requests, the number of concurrent clients, and the duration."""

    port: int
    requests: Sequence[bytes]
    """Whole HTTP requests, taken in turn."""
    status: int
    """Text that each response must contain."""
    num_clients: int
    seconds: float


@dataclass(frozen=True)
class Served:
    """Time of each response, and of all together [s]."""

    latencies: list[float]
    seconds: float

    @property
    def a_second(self) -> float:
        return len(self.latencies) / self.seconds


def request(method: str, path: str, *, key: str | None = None, body: bytes = b"") -> bytes:
    """An HTTP request as it is sent."""
    lines = [f"{method} {path} HTTP/1.1", "host: bench", f"content-length: {len(body)}"]
    lines += ["content-type: application/json"] if body else []
    lines += [f"authorization: Bearer {key}"] if key else []
    return "\r\n".join([*lines, "", ""]).encode() + body


def play(turns: Turns) -> None:
    """Apply each requested load to its server."""
    served = None
    while True:
        served = asyncio.run(_bring(turns.next(served)))


async def _bring(load: Load) -> Served:
    requests = cycle(load.requests)
    began_at = time.perf_counter()
    until = began_at + load.seconds
    async with asyncio.TaskGroup() as group:
        clients = [
            group.create_task(_client(load, requests, until)) for _ in range(load.num_clients)
        ]
    latencies = [latency for client in clients for latency in client.result()]
    return Served(latencies, time.perf_counter() - began_at)


async def _client(load: Load, requests: Iterator[bytes], until: float) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", load.port)
    latencies = []
    while (sent_at := time.perf_counter()) < until:
        writer.write(next(requests))
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(_length(head))
        latencies.append(time.perf_counter() - sent_at)
        if not head.startswith(f"HTTP/1.1 {load.status} ".encode()):
            raise RuntimeError(f"{head.decode()}{body.decode()}")
    writer.close()
    return latencies


def _length(head: bytes) -> int:
    _, _, rest = head.lower().partition(b"content-length: ")
    return int(rest.partition(b"\r\n")[0])
