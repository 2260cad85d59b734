"""Costly reward checks, run in processes with bounded time and memory."""

import hashlib
import json
import multiprocessing
import os
import signal
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from pebble import ProcessExpired, ProcessPool

from api.errors.problems import Problem
from grpo.data.row_check import RowCheck
from grpo.data.row_reader import Reading
from grpo.rewards.deferral import costly
from grpo.rewards.reward import Reward
from grpo.runtime.bounded_process import enter
from grpo.spec.costly_checks import (
    CPU_SECONDS,
    MEMORY_BYTES,
    SECONDS,
    TOO_COSTLY,
    load,
    problems_of,
)
from grpo.spec.resolve import SpecError
from grpo.validation.row_checks import check_apart

AT_ONCE = 2  # each can keep a core busy
WAIT_SECONDS = 1.0  # for a free process, in a thread of the shared pool
KNOWN = 512  # cached results: sweeps, estimates and retries repeat checks

Problems = list[tuple[str, str]]


class RewardChecks:
    """Costly checks of specs' rewards, one at a time per project."""

    def __init__(self) -> None:
        self._pool: ProcessPool | None = None
        self._busy: set[UUID] = set()
        self._changed = threading.Condition()
        self._row_checks = threading.BoundedSemaphore(AT_ONCE)
        self._known: OrderedDict[bytes, Problems] = OrderedDict()

    def rows_of(self, path: Path, reading: Reading, rewards: Sequence[Reward]) -> RowCheck | None:
        """Problems of a file's rows; None: left to the worker.

        Raises:
            RowError, OSError: the file cannot be read.
        """
        if not self._row_checks.acquire(blocking=False):
            return None
        try:
            return check_apart(str(path), reading, rewards)
        finally:
            self._row_checks.release()

    def check(self, rewards: Sequence[Reward], project_id: UUID) -> None:
        """Check rewards by their costly checks.

        Raises:
            SpecError: with every problem found.
            Problem: 503 while the server is busy with other checks.
        """
        if problems := self.problems(rewards, project_id):
            raise SpecError(problems)

    def problems(self, rewards: Sequence[Reward], project_id: UUID) -> Problems:
        """Problems found by the deferred checks of a spec's rewards.

        Raises:
            Problem: 503 while the server is busy with other checks.
        """
        if not costly(rewards):
            return []
        written = [reward.model_dump(mode="json") for reward in rewards]
        key = hashlib.sha256(json.dumps(written).encode()).digest()
        if (found := self._known.get(key)) is None:
            with self._slot(project_id):
                found = self._checked(written)
            with self._changed:
                self._known[key] = found
                if len(self._known) > KNOWN:
                    self._known.popitem(last=False)
        return found

    def close(self) -> None:
        if self._pool is not None:
            self._pool.stop()
            self._pool.join()

    def _checked(self, rewards: list[dict]) -> Problems:
        try:
            task = self._started().schedule(
                problems_of, args=(rewards, CPU_SECONDS), timeout=SECONDS
            )
            return task.result()
        except ProcessExpired as expired:
            if expired.exitcode in (-signal.SIGPROF, -signal.SIGKILL, -signal.SIGSEGV):
                return [("/rewards", TOO_COSTLY)]
            raise _busy() from None
        except MemoryError:
            return [("/rewards", TOO_COSTLY)]
        except (TimeoutError, BrokenProcessPool):
            raise _busy() from None

    def _started(self) -> ProcessPool:
        with self._changed:
            if self._pool is None or not self._pool.active:
                self._pool = ProcessPool(
                    max_workers=AT_ONCE,
                    initializer=_enter,
                    initargs=(os.getpid(),),
                    context=multiprocessing.get_context("spawn"),  # pyright: ignore[reportArgumentType]
                )
            return self._pool

    @contextmanager
    def _slot(self, project_id: UUID) -> Iterator[None]:
        with self._changed:
            if not self._changed.wait_for(lambda: self._is_free(project_id), WAIT_SECONDS):
                raise _busy()
            self._busy.add(project_id)
        try:
            yield
        finally:
            with self._changed:
                self._busy.remove(project_id)
                self._changed.notify_all()

    def _is_free(self, project_id: UUID) -> bool:
        return len(self._busy) < AT_ONCE and project_id not in self._busy


def _busy() -> Problem:
    detail = "the server is busy checking rewards for other requests: retry shortly"
    return Problem(503, "checks_busy", detail, headers={"Retry-After": "2"})


def _enter(parent: int) -> None:
    enter(MEMORY_BYTES, parent)
    load()
