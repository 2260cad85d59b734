"""A local Duet for the length of a block: servers start before it and are stopped after it."""

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
    """Raises Refused when the folder is in use, ServiceError when a server does not start."""
    with state.locked(), stoppable():
        stack = Stack(state, port=port, environment=os.environ, say=say)
        try:
            yield stack, stack.start()
        finally:
            stack.stop()
