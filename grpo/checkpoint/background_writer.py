"""Checkpoints written in a thread, while the next step's completions are drawn."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress

from grpo.checkpoint.checkpoint import TrainerState
from grpo.runtime.stopwatch import Stopwatch

Save = Callable[[TrainerState, bool], Callable[[], None]]
"""Copies what changes before the next update, and returns the function that writes the checkpoint
of a state; the second argument says whether it is the run's last."""


class BackgroundWriter:
    """Writes one checkpoint at a time.  From `begin` until `finish` has returned, neither the
    weights nor the optimizer's state may change."""

    def __init__(self, save: Save, *, clock: Callable[[], float], stopwatch: Stopwatch) -> None:
        """`stopwatch`: gets the seconds of each checkpoint."""
        self._save = save
        self._clock = clock
        self._stopwatch = stopwatch
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._writing: Future[float] | None = None

    def begin(self, state: TrainerState, *, final: bool) -> None:
        """Start to write; the one before must have been waited for."""
        assert self._writing is None
        self._writing = self._executor.submit(self._timed, self._save(state, final))

    def finish(self) -> None:
        """Wait for the checkpoint that is being written, if any.

        Raises:
            Exception: it could not be written.
        """
        if self._writing is not None:
            self._stopwatch.add("checkpoint", self._writing.result())
            self._writing = None  # not before: an interrupted wait is waited for again

    @contextmanager
    def finishing(self) -> Iterator[None]:
        """Wait for the last checkpoint at the end.

        Raises:
            Exception: it could not be written; not raised where the block itself has failed.
        """
        try:
            yield
        except BaseException:
            with suppress(Exception):
                self.finish()
            raise
        self.finish()

    def _timed(self, write: Callable[[], None]) -> float:
        began_at = self._clock()
        write()
        return self._clock() - began_at
