"""Missing system requirements of training, found by the trainer's own check."""

import subprocess
import sys

from duet.errors import DuetError

ASK_SECONDS = 60


def missing_needs(*, gpu: bool) -> list[str]:
    """Return a sentence per missing requirement, ending with what to do.

    Raises:
        DuetError: the check itself failed.
    """
    command = [sys.executable, "-P", "-m", "grpo.runtime.system_needs", *(["--gpu"] if gpu else [])]
    asked = subprocess.run(
        command, capture_output=True, text=True, timeout=ASK_SECONDS, check=False
    )
    if asked.stderr:
        raise DuetError(
            f"the check of training's system requirements failed:\n{asked.stderr.strip()}"
        )
    return asked.stdout.splitlines()
