"""A bare Debian in a folder, made by debootstrap."""

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

SUITE = "bookworm"


def make_root(folder: Path, packages: Iterable[str]) -> None:
    """Install Debian's essential packages and those named, with what they depend on."""
    command = [
        "debootstrap",
        "--variant=minbase",
        f"--include={','.join(packages)}",
        SUITE,
        str(folder),
    ]
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
