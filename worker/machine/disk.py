"""Detection of a full disk."""

import shutil
from pathlib import Path

from grpo.errors import DISK_FULL

ROOM_BYTES = 100_000
"""Free space below which not even a record or a traceback can be written reliably."""


def is_full(error: Exception) -> bool:
    """Whether the error is one of writing to a full disk."""
    return isinstance(error, OSError) and error.errno in DISK_FULL


def has_room(folder: Path) -> bool:
    return shutil.disk_usage(folder).free >= ROOM_BYTES
