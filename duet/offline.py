"""Checks and estimates of specs without a server, by the trainer as a child process.

The child reads and writes JSON; no code of the trainer is imported here.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

from duet.client.sync.transport import encoded
from duet.errors import DuetError, InvalidRequest, Refused
from duet.objects.answer import Answer
from duet.objects.estimate import Estimates, Validated

Found = TypeVar("Found", bound=Answer)

INVALID = 2


class OfflineSpecs:
    """The spec checks that need no server; data files are in `folder`."""

    def __init__(self, folder: Path, *, gpu_memory_gib: float | None = None) -> None:
        """`gpu_memory_gib`: memory of the GPU that jobs must fit on; None: any."""
        card = [] if gpu_memory_gib is None else [f"--gpu-memory={gpu_memory_gib}"]
        self._options = [f"--folder={folder}", *card]

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of a spec."""
        return _run("schema")

    def estimate(self, spec: dict[str, Any], *, group_sizes: Sequence[int]) -> Estimates:
        """Estimate a spec's rollouts, tokens and memory, also at other group sizes."""
        sizes = [f"--group-size={size}" for size in group_sizes]
        return self._checked(Estimates, "estimate", spec, sizes)

    def validate(self, spec: dict[str, Any]) -> Validated:
        """Check a spec and test its rewards."""
        return self._checked(Validated, "validate", spec)

    def _checked(
        self, kind: type[Found], command: str, spec: dict[str, Any], options: Sequence[str] = ()
    ) -> Found:
        """
        Raises:
            InvalidRequest, Refused: the spec is invalid.
        """
        found = _run(command, "-", *self._options, *options, sent=encoded(spec))
        if "errors" in found:
            errors = [(error["pointer"], error["detail"]) for error in found["errors"]]
            raise InvalidRequest(422, "invalid_spec", HTTPStatus(422).phrase, errors[0][1], errors)
        if "refused" in found:
            raise Refused(found["refused"])
        return kind.model_validate({**found["result"], "not_checked": found["not_checked"]})


def _run(*arguments: str, sent: bytes = b"") -> dict[str, Any]:
    command = [sys.executable, "-P", "-m", "grpo", *arguments]
    done = subprocess.run(command, input=sent, capture_output=True, check=False)
    if done.returncode not in (0, INVALID) or not done.stdout:
        said = done.stderr.decode(errors="replace")
        raise DuetError(f"`python -m grpo {arguments[0]}` failed:\n{said}")
    return json.loads(done.stdout)
