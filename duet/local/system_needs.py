"""What training takes from the system and is missing, asked of the trainer's own check."""

import subprocess
import sys

from duet.errors import DuetError

ASK_SECONDS = 60


def missing_needs(*, gpu: bool) -> list[str]:
    """A sentence each, which ends with what to do.

    Raises:
        DuetError: the check itself did not work.
    """
    command = [sys.executable, "-P", "-m", "grpo.runtime.system_needs", *(["--gpu"] if gpu else [])]
    asked = subprocess.run(
        command, capture_output=True, text=True, timeout=ASK_SECONDS, check=False
    )
    if asked.stderr:
        raise DuetError(f"looking for what training needs failed:\n{asked.stderr.strip()}")
    return asked.stdout.splitlines()
