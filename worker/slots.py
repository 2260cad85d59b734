"""A worker's slots for jobs: one per GPU, or a single one on a machine without GPUs."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Slot:
    """Capacity for one job, with the GPUs reserved for it."""

    gpus: tuple[str, ...]

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of the slot's trainers.  CUDA's default numbering starts with the
        fastest GPU; nvidia-smi's, which the names use, is by PCI bus."""
        order = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
        return {"CUDA_VISIBLE_DEVICES": ",".join(self.gpus), **order}


def slots_for(gpus: Sequence[str]) -> list[Slot]:
    """Return one slot per GPU, since a job uses at most one GPU."""
    return [Slot((gpu,)) for gpu in gpus] or [Slot(())]


class Slots:
    """The free slots, shared by the pollers and the Celery task."""

    def __init__(self, slots: Sequence[Slot]) -> None:
        self.total = len(slots)
        self.gpus = tuple(gpu for slot in slots for gpu in slot.gpus)
        self._free = list(slots)
        self._retired: list[Slot] = []
        self._given_back = threading.Condition()

    @property
    def all_free(self) -> bool:
        """Whether no job runs."""
        with self._given_back:
            return len(self._free) + len(self._retired) == self.total

    def retire(self, slot: Slot) -> None:
        """Stop giving out a slot that is in use."""
        with self._given_back:
            self._retired.append(slot)

    @contextmanager
    def take(self, *, seconds: float) -> Iterator[Slot | None]:
        """Yield a slot for the block, waiting at most `seconds`; None if all stay in use."""
        with self._given_back:
            self._given_back.wait_for(lambda: self._free, timeout=seconds)
            slot = self._free.pop() if self._free else None
        try:
            yield slot
        finally:
            if slot is not None:
                self._give_back(slot)

    def _give_back(self, slot: Slot) -> None:
        with self._given_back:
            if slot not in self._retired:
                self._free.append(slot)
                self._given_back.notify()
