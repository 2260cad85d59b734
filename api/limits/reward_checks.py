"""Costly reward checks, run in processes with bounded time and memory."""

import hashlib
import json
import multiprocessing
import os
import signal
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from uuid import UUID

from pebble import ProcessExpired, ProcessPool

from api.errors.problems import Problem
from api.limits.project_slots import ProjectSlots
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

AT_ONCE = 2  # each can keep a core busy
WAIT_SECONDS = 1.0  # for a free process, in a thread of the shared pool
KNOWN = 512  # cached results: sweeps, estimates and retries repeat checks

Problems = list[tuple[str, str]]


class RewardChecks:
    """Costly checks of specs' rewards, one at a time per project."""

    def __init__(self) -> None:
        self._pool: ProcessPool | None = None
        self._lock = threading.Lock()
        self._slots = ProjectSlots(AT_ONCE)
        self._known: OrderedDict[bytes, Problems] = OrderedDict()

    def check(self, rewards: Sequence[Reward], project_id: UUID) -> None:
        """Run the costly checks of rewards.

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
        if (found := self._known.get(key)) is not None:
            return found
        with self._slots.take(project_id, wait_seconds=WAIT_SECONDS) as is_taken:
            if (found := self._known.get(key)) is not None:  # checked for another request meanwhile
                return found
            if not is_taken:
                raise _busy()
            found = self._checked(written)
        with self._lock:
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
        with self._lock:
            if self._pool is None or not self._pool.active:
                self._pool = ProcessPool(
                    max_workers=AT_ONCE,
                    initializer=_enter,
                    initargs=(os.getpid(),),
                    context=multiprocessing.get_context("spawn"),  # pyright: ignore[reportArgumentType]
                )
            return self._pool


def _busy() -> Problem:
    detail = "the server is busy checking rewards for other requests: retry shortly"
    return Problem(503, "checks_busy", detail, headers={"Retry-After": "2"})


def _enter(parent: int) -> None:
    enter(MEMORY_BYTES, parent)
    load()
