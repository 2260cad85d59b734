"""A call of unknown cost, run in a separate process with limits on time and memory."""

import errno
import multiprocessing
import os
import resource
import signal
import threading
from collections.abc import Callable
from concurrent.futures import wait
from concurrent.futures.process import BrokenProcessPool
from ctypes import CDLL
from typing import TypeVar

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from grpo.runtime.bare_environment import strip_environment
from grpo.runtime.parent_watch import PR_SET_PDEATHSIG

LOOK_SECONDS = 0.2
NICENESS = 10
"""Priority of the process: below the API's own threads."""

Result = TypeVar("Result")


class TooCostly(Exception):
    """The call did not end within its limits."""


class OutOfTime(TooCostly):
    """The time limit was reached."""


class OutOfMemory(TooCostly):
    """The process exceeded its memory limit, or crashed."""


class Cancelled(Exception):
    """The caller no longer wants the result."""


def call_bounded(
    function: Callable[..., Result],
    *arguments: object,
    seconds: float,
    memory_bytes: int,
    cancelled: threading.Event | None = None,
    meanwhile: Callable[[], None] = lambda: None,
) -> Result:
    """Call a module's function in a new process, which ends with this one and whose environment
    holds no secrets.

    Args:
        memory_bytes: the process's address space.
        cancelled: ends the call early.
        meanwhile: called several times a second until the call has ended.

    Raises:
        OutOfTime, OutOfMemory: the call was ended at a limit.
        Cancelled: `cancelled` was set.
        OSError: the machine could not start the process.
        Exception: what the function raises.
    """
    pool = ProcessPool(
        max_workers=1,
        initializer=enter,
        initargs=(memory_bytes, os.getpid()),
        context=multiprocessing.get_context("spawn"),  # pyright: ignore[reportArgumentType]
    )
    try:
        task = _started(pool, function, arguments, seconds)
        return _result(task, cancelled, meanwhile)
    except BrokenProcessPool as error:
        if isinstance(error.__cause__, OSError):
            raise error.__cause__ from None
        raise OutOfMemory from None
    except (ProcessExpired, MemoryError):
        raise OutOfMemory from None
    except TimeoutError:
        raise OutOfTime from None
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise OutOfMemory from None
        raise
    finally:
        pool.stop()
        pool.join()


def _started(
    pool: ProcessPool,
    function: Callable[..., Result],
    arguments: tuple[object, ...],
    seconds: float,
) -> ProcessFuture[Result]:
    """Start the process and its call.

    Raises:
        OSError: there are too many processes, threads or open files.
    """
    try:
        return pool.schedule(function, args=arguments, timeout=seconds)
    except BrokenProcessPool:
        raise
    except RuntimeError as error:  # no thread could be started
        raise OSError(errno.EAGAIN, str(error)) from error


def _result(
    task: ProcessFuture[Result],
    cancelled: threading.Event | None,
    meanwhile: Callable[[], None],
) -> Result:
    while not wait([task], timeout=LOOK_SECONDS).done:
        if cancelled is not None and cancelled.is_set():
            raise Cancelled
        meanwhile()
    return task.result()


def enter(memory_bytes: int, parent: int) -> None:
    """Initialize the new process: its parent watch, environment, priority and memory limit."""
    CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent died before prctl
        os._exit(1)
    strip_environment()
    os.setsid()
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
