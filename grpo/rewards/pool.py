"""Rewards in killable processes: a hang, a memory overrun or a crash is one failed score."""

import multiprocessing
import os
import resource
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from ctypes import CDLL
from typing import Any, TypeVar

from pebble import ProcessExpired, ProcessPool

from grpo.rewards.grading import Failed, check_answer, grade
from grpo.rewards.reward import Case, Reward
from grpo.runtime.parent_watch import PR_SET_PDEATHSIG

MEMORY_BYTES = 4 << 30
"""Address space of a scoring process."""
PREPARE_SECONDS = 60.0
"""Time limit for imports and a sandbox's start, on a busy machine."""
LOOK_SECONDS = 1.0
"""Interval between checks of the pool: a broken pool does not report tasks it never began."""
FRUITLESS_ATTEMPTS = 3
"""Rounds in a row without an outcome after which the pool gives up."""
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

Result = TypeVar("Result")
Task = tuple[int, Any]


class RewardPool:
    """Processes with all of `rewards` loaded; a task is one reward (by number) and one completion.

    A task past `seconds` is killed with its process, which is replaced.  The processes die with
    the process that made the pool; signals to its group do not reach them.
    """

    def __init__(self, rewards: Sequence[Reward], *, processes: int, seconds: float) -> None:
        self._rewards = tuple(rewards)
        self._processes = processes
        self._seconds = seconds
        self._closed = False
        self._pool = self._start()

    def prepare(self, reward: int, *, seconds: float = PREPARE_SECONDS) -> None:
        """Load reward number n.

        Raises:
            Exception: as raised by `Reward.prepare`; TimeoutError.
        """
        self._pool.schedule(_prepare, args=(reward,), timeout=seconds).result()

    def grade(
        self, tasks: Sequence[tuple[int, Case]], *, seconds: float | None = None
    ) -> list[float | Failed]:
        """Return the score of each (reward's number, case), in order.

        `seconds`: time limit of these tasks, in place of the pool's.
        """
        return self._each(_grade, tasks, self._seconds if seconds is None else seconds)

    def grade_together(
        self, reward: int, cases: Sequence[Case], *, seconds: float
    ) -> list[float | Failed]:
        """Return the scores of cases by a reward that asks a service for all of them."""
        (found,) = self._each(_grade_together, [(reward, tuple(cases))], seconds)
        return [found] * len(cases) if isinstance(found, Failed) else found

    def check_answers(self, tasks: Sequence[tuple[int, Case]]) -> list[str | None]:
        """Return for each case the reason why no completion of it can be scored, or None."""
        outcomes = self._each(_check_answer, tasks, self._seconds)
        return [outcome.cause if isinstance(outcome, Failed) else None for outcome in outcomes]

    def answers(self, tasks: Sequence[tuple[int, str]]) -> list[str | None]:
        """Return the final answer that a reward finds in each text; None without one, or after the
        time limit."""
        answers = self._each(_answer, tasks, self._seconds)
        return [None if isinstance(answer, Failed) else answer for answer in answers]

    def close(self) -> None:
        """End the processes; a thread that waits for scores gets an error."""
        self._closed = True
        self._end()

    def _end(self) -> None:
        self._pool.stop()
        self._pool.join()

    def _start(self) -> ProcessPool:
        pool = ProcessPool(
            max_workers=self._processes,
            initializer=_enter,
            initargs=(self._rewards, os.getpid()),
            context=multiprocessing.get_context("spawn"),  # pyright: ignore[reportArgumentType]
        )
        with _signals_kept_away():
            assert pool.active  # reading it starts the pool
        return pool

    def _each(
        self, function: Callable[..., Result | Failed], tasks: Sequence[Task], seconds: float
    ) -> list[Result | Failed]:
        outcomes: dict[int, Result | Failed] = {}
        fruitless = 0
        while missing := {n: task for n, task in enumerate(tasks) if n not in outcomes}:
            found = self._attempt(function, missing, seconds)
            fruitless = 0 if found else fruitless + 1
            if fruitless == FRUITLESS_ATTEMPTS:
                found = dict.fromkeys(missing, Failed("its process was killed on every try"))
            outcomes |= found
        return [outcomes[n] for n in range(len(tasks))]

    def _attempt(
        self, function: Callable[..., Result | Failed], tasks: dict[int, Task], seconds: float
    ) -> dict[int, Result | Failed]:
        """Return the outcomes.  Tasks that were lost with their process through no fault of theirs
        are left out: pebble gives up a pool when one of its idle processes is killed."""
        if self._closed:
            raise RuntimeError("the pool is closed")
        if not self._pool.active:
            self._end()
            self._pool = self._start()
        futures: dict[int, Future[Result | Failed]] = {}
        with suppress(RuntimeError):  # the pool was just given up
            for n, task in tasks.items():
                futures[n] = self._pool.schedule(function, args=task, timeout=seconds)
        waiting = set(futures.values())
        while waiting and self._pool.active:
            _, waiting = wait(waiting, timeout=LOOK_SECONDS)
        outcomes = {
            n: self._outcome(future, seconds) for n, future in futures.items() if future.done()
        }
        return {n: outcome for n, outcome in outcomes.items() if outcome is not None}

    def _outcome(self, future: "Future[Result | Failed]", seconds: float) -> Result | Failed | None:
        """Return the outcome; None if the task was lost."""
        match future.exception():
            case None:
                return future.result()
            case TimeoutError():
                return Failed(f"it took longer than {seconds:.3g} s", timed_out=True)
            case ProcessExpired() as expired if expired.exitcode != -signal.SIGTERM:
                return Failed(f"its process ended ({_how(expired.exitcode)})")
            case ProcessExpired() | BrokenProcessPool():  # SIGTERM: the whole service was stopped
                return None
            case error:
                raise error


@contextmanager
def _signals_kept_away() -> Iterator[None]:
    """Block stop signals for threads and processes started within the context: a process that is
    still importing would end with a traceback."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _how(exitcode: int) -> str:
    return f"exit code {exitcode}" if exitcode >= 0 else signal.Signals(-exitcode).name


# In the scoring processes.

_rewards: tuple[Reward, ...] = ()


def _enter(rewards: tuple[Reward, ...], parent: int) -> None:
    """Initialize a scoring process."""
    global _rewards
    CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent died before prctl
        os._exit(1)
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # discards a pending signal
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # pebble ends a process with it
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    _rewards = rewards
    for number, reward in enumerate(rewards):
        if not reward.runs_python:
            with suppress(Exception):  # RewardPool.prepare reports it
                _prepare(number)


def _prepare(reward: int) -> None:
    _rewards[reward].prepare()


def _grade(reward: int, case: Case) -> float | Failed:
    return grade(_rewards[reward], case)


def _grade_together(reward: int, cases: Sequence[Case]) -> list[float | Failed] | Failed:
    from grpo.rewards.service.parts import grade_together

    try:
        return grade_together(_rewards[reward], cases)
    except ValueError as error:  # a secret is missing
        return Failed(str(error))


def _check_answer(reward: int, case: Case) -> bool | Failed:
    return check_answer(_rewards[reward], case) or True


def _answer(reward: int, text: str) -> str | Failed | None:
    try:
        return _rewards[reward].answer_of(text)
    except Exception as error:  # noqa: BLE001 - reported as a text without an answer
        return Failed(str(error))
