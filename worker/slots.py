"""How many jobs a worker runs at once: one a GPU, or one on a machine without any."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Slot:
    """Room for one job, and the GPUs that are its own."""

    gpus: tuple[str, ...]

    @property
    def environment(self) -> dict[str, str]:
        return {"CUDA_VISIBLE_DEVICES": ",".join(self.gpus)}


def slots_for(gpus: Sequence[str]) -> list[Slot]:
    """A job takes one GPU at most, so each GPU is a slot."""
    return [Slot((gpu,)) for gpu in gpus] or [Slot(())]


class Slots:
    """The free slots.  The poller and the Celery task take theirs from here."""

    def __init__(self, slots: Sequence[Slot]) -> None:
        self.total = len(slots)
        self._free = list(slots)
        self._given_back = threading.Condition()

    @property
    def all_free(self) -> bool:
        """Whether nothing runs."""
        with self._given_back:
            return len(self._free) == self.total

    @contextmanager
    def take(self, *, seconds: float) -> Iterator[Slot | None]:
        """A slot for the block, after waiting so long at most; None when all stay taken."""
        with self._given_back:
            self._given_back.wait_for(lambda: self._free, timeout=seconds)
            slot = self._free.pop() if self._free else None
        try:
            yield slot
        finally:
            if slot is not None:
                with self._given_back:
                    self._free.append(slot)
                    self._given_back.notify()
