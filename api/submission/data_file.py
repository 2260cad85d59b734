"""An uploaded data file: copied, hashed, and inspected during the request where that is fast."""

import hashlib
from pathlib import Path
from threading import BoundedSemaphore
from typing import IO

from grpo.data.inspection import Inspection, inspect, is_plain_text, memory_for, too_costly
from grpo.runtime.bounded_process import OutOfTime, TooCostly, call_bounded

BLOCK_BYTES = 1024 * 1024
HERE_BYTES = 64 * 1024
"""Size up to which a JSONL file is inspected in the request's own thread."""
SOON_BYTES = 8 * 1024 * 1024
"""Size up to which a file is inspected before the request is answered."""
SOON_SECONDS = 10
AT_ONCE = 2
"""Concurrent inspections during requests, per process: each keeps a core busy."""


def copy_hashed(source: IO[bytes], copy: IO[bytes]) -> tuple[int, str]:
    """Copy a file; return its size [bytes] and sha256."""
    digest = hashlib.sha256()
    while block := source.read(BLOCK_BYTES):
        copy.write(block)
        digest.update(block)
    copy.flush()
    return copy.tell(), digest.hexdigest()


def inspected_soon(path: Path, num_bytes: int, places: BoundedSemaphore) -> Inspection | None:
    """Inspect a file, unless that takes too long for a request or all slots are taken.

    None: left to `python -m worker ops`.
    """
    if num_bytes <= HERE_BYTES and is_plain_text(path):
        return inspect(str(path))
    if num_bytes > SOON_BYTES:
        return None
    if not places.acquire(blocking=False):
        return None
    try:
        return _inspected_apart(path)
    finally:
        places.release()


def _inspected_apart(path: Path) -> Inspection | None:
    """None: not finished within a request's time, or this machine could not start the process."""
    try:
        return call_bounded(inspect, str(path), seconds=SOON_SECONDS, memory_bytes=memory_for(path))
    except (OutOfTime, OSError):
        return None
    except TooCostly as error:
        return too_costly(error, SOON_SECONDS)
