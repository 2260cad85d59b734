"""Slots for costly work: at most one per project, so that no project can occupy all of them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID


class ProjectSlots:
    """A number of slots, shared by the projects."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._busy: set[UUID] = set()
        self._changed = threading.Condition()

    @contextmanager
    def take(self, project_id: UUID, *, wait_seconds: float) -> Iterator[bool]:
        """Take a slot, waiting if necessary; False: none became free in time."""
        with self._changed:
            taken = self._changed.wait_for(lambda: self._is_free(project_id), wait_seconds)
            if taken:
                self._busy.add(project_id)
        try:
            yield taken
        finally:
            if taken:
                with self._changed:
                    self._busy.remove(project_id)
                    self._changed.notify_all()

    def _is_free(self, project_id: UUID) -> bool:
        return len(self._busy) < self._number and project_id not in self._busy
