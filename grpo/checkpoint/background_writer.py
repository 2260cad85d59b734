"""Checkpoints written in a thread, while the next step's completions are drawn."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from grpo.checkpoint.checkpoint import TrainerState

Save = Callable[[TrainerState, bool], Callable[[], None]]
"""Copies what changes before the next update, and returns the function that writes the checkpoint
of a state; the second argument says whether it is the run's last."""


class BackgroundWriter:
    """Writes one checkpoint at a time.  From `begin` until `wait` has returned neither the weights
    nor the optimizer's state may change."""

    def __init__(self, save: Save, *, clock: Callable[[], float]) -> None:
        self._save = save
        self._clock = clock
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._writing: Future[float] | None = None

    def begin(self, state: TrainerState, *, final: bool) -> None:
        """Start to write; the one before must have been waited for."""
        assert self._writing is None
        self._writing = self._executor.submit(self._timed, self._save(state, final))

    def wait(self) -> float | None:
        """Wait for the checkpoint that is being written, and return its seconds; None: there is
        none.

        Raises:
            Exception: as raised by `save`.
        """
        writing, self._writing = self._writing, None
        return None if writing is None else writing.result()

    def _timed(self, write: Callable[[], None]) -> float:
        began_at = self._clock()
        write()
        return self._clock() - began_at
