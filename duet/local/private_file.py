"""Files with passwords and keys."""

import os
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Write a file that is only ever readable by its owner, replacing an old one."""
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(text)
    beside.replace(path)
