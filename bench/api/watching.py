"""Watchers: a number of streams in a separate process."""

import asyncio
import re
import time
from collections import defaultdict
from dataclasses import dataclass

from bench.turns import Turns

ID = re.compile(rb"id: (\d+)\r\n")
LONGEST_ID_LINE = 32  # bytes that may be cut off at the end of a chunk


@dataclass(frozen=True)
class Watch:
    """Command to connect every client with this request."""

    port: int
    request: bytes
    num_watchers: int


@dataclass(frozen=True)
class Await:
    """Command to wait until every client received an event; the reply has the arrival times."""

    last_id: int


class Leave:
    """Command to close every connection."""


Arrivals = dict[int, list[float]]
"""Arrival times at each client by event id (`time.perf_counter`, shared by all processes)."""


def play(turns: Turns) -> None:
    asyncio.run(_play(turns))


async def _play(turns: Turns) -> None:
    watchers: list[_Watcher] = []
    said = None
    while True:
        match asked := await asyncio.to_thread(turns.next, said):
            case Watch():
                watchers = [await _connected(asked) for _ in range(asked.num_watchers)]
                said = None
            case Await():
                await asyncio.gather(*(watcher.has(asked.last_id) for watcher in watchers))
                said = _arrivals(watchers)
            case Leave():
                for watcher in watchers:
                    watcher.transport.abort()
                said = None


async def _connected(watch: Watch) -> "_Watcher":
    loop = asyncio.get_running_loop()
    transport, watcher = await loop.create_connection(_Watcher, "127.0.0.1", watch.port)
    transport.write(watch.request)
    await watcher.answered.wait()
    return watcher


def _arrivals(watchers: list["_Watcher"]) -> Arrivals:
    arrivals: Arrivals = defaultdict(list)
    for watcher in watchers:
        for event_id, came_at in watcher.came_at.items():
            arrivals[event_id].append(came_at)
    return dict(arrivals)


class _Watcher(asyncio.Protocol):
    def __init__(self) -> None:
        self.answered = asyncio.Event()
        self.came_at: dict[int, float] = {}
        self._news = asyncio.Event()
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self.answered.set()
        part = self._tail + data
        for found in ID.finditer(part):
            self.came_at.setdefault(int(found[1]), now)
        self._tail = part[-LONGEST_ID_LINE:]
        self._news.set()

    async def has(self, event_id: int) -> None:
        while event_id not in self.came_at:
            self._news.clear()
            await self._news.wait()
