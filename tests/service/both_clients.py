"""`duet.Client`, and `duet.AsyncClient` behind the same calls, so that one test proves both."""

import inspect
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, cast

from anyio.from_thread import BlockingPortal, start_blocking_portal

import duet

KINDS = ("sync", "async")


@contextmanager
def client_of(kind: str, url: str, key: str, **options: Any) -> Iterator[duet.Client]:
    if kind == "sync":
        with duet.Client(url, key, **options) as client:
            yield client
        return
    with start_blocking_portal() as portal:
        client = duet.AsyncClient(url, key, **options)
        yield cast(duet.Client, Waited(portal, client))
        portal.call(client.aclose)


class Waited:
    """Synchronous wrapper of an asynchronous object."""

    def __init__(self, portal: BlockingPortal, what: Any) -> None:
        self._portal = portal
        self._what = what

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._what, name)
        if type(found).__module__.startswith("duet.client.aio"):
            return Waited(self._portal, found)
        return self._waiting(found) if callable(found) else found

    def _waiting(self, method: Any) -> Any:
        async def call(*arguments: Any, **named: Any) -> Any:
            answer = method(*arguments, **named)
            return await answer if inspect.isawaitable(answer) else answer

        def wait(*arguments: Any, **named: Any) -> Any:
            answer = self._portal.call(lambda: call(*arguments, **named))
            return self._each(answer) if isinstance(answer, AsyncIterator) else answer

        return wait

    def _each(self, items: AsyncIterator[Any]) -> Iterator[Any]:
        while True:
            try:
                yield self._portal.call(items.__anext__)
            except StopAsyncIteration:
                return
