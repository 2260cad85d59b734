"""A local Duet during a block: servers start before it and stop after it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from duet.discovery import Server
from duet.local.stack import Stack
from duet.local.state import State
from duet.signals import stoppable


@contextmanager
def local_duet(
    state: State, *, port: int | None, say: Callable[[str], None]
) -> Iterator[tuple[Stack, Server]]:
    """Run a local Duet; raise Refused if the folder is in use, ServiceError if a server does not
    start."""
    with state.locked(), stoppable():
        stack = Stack(state, port=port, environment=os.environ, say=say)
        try:
            yield stack, stack.start()
        finally:
            stack.stop()
