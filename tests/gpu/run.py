"""Runs parts one after another, each in a process with a time limit, and keeps what they say."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.gpu.part import Figures, Part
from tests.report import Outcome

MOST_SECONDS = 720.0
"""Limit of the whole on a GPU: what it leaves no time for is not measured."""
LEAST_SECONDS = 15.0
"""A part is not started with less."""
SECONDS_TO_STOP = 20.0
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "PYTHONUNBUFFERED": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_NO_USAGE_STATS": "1",
}


@dataclass(frozen=True)
class Result:
    name: str
    outcome: Outcome
    seconds: float = 0.0
    reason: str = ""
    """Reason for a failure, or why nothing was measured."""
    figures: Figures = field(default_factory=dict)


class Runner:
    """`out`: the folder of the report and the parts' output.  `scale`: of the parts' limits."""

    def __init__(self, out: Path, *, cpu: bool, model: Path | None, scale: float = 1.0) -> None:
        self._out = out
        self._cpu = cpu
        self._model = model
        self._scale = scale
        self._ends_at = time.monotonic() + MOST_SECONDS * scale

    def run(self, parts: tuple[Part, ...], *, facts: Mapping[str, str]) -> Iterator[Result]:
        """Yield each part's result; `report.json` has all up to it."""
        results: list[Result] = []
        for part in parts:
            results.append(self._result(part))
            report = {"cpu": self._cpu, **facts, "parts": [asdict(each) for each in results]}
            (self._out / "report.json").write_text(json.dumps(report, indent=1) + "\n")
            yield results[-1]

    def _result(self, part: Part) -> Result:
        left = self._ends_at - time.monotonic()
        if left < LEAST_SECONDS:
            reason = f"the {MOST_SECONDS / 60:.0f} minutes were over"
            return Result(part.name, Outcome.NOT_MEASURED, reason=reason)
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="test-gpu-", ignore_cleanup_errors=True) as made:
            told = Path(made) / "result.json"
            code = self._run(part, told, Path(made) / "part", min(part.seconds * self._scale, left))
            seconds = round(time.monotonic() - began, 1)
            said = json.loads(told.read_text()) if code == 0 else {}
        if code != 0:
            reason = self._last_words(part) if code else f"not within {seconds:.0f} s"
            return Result(part.name, Outcome.FAILED, seconds, reason)
        if "not_measured" in said:
            return Result(part.name, Outcome.NOT_MEASURED, seconds, said["not_measured"])
        return Result(part.name, Outcome.PASSED, seconds, figures=said["figures"])

    def _run(self, part: Part, told: Path, folder: Path, seconds: float) -> int | None:
        """Return the exit code of a part's process, None if it was stopped at its limit."""
        folder.mkdir()
        setting = {"cpu": self._cpu, "folder": str(folder)}
        setting["model"] = str(self._model) if self._model else None
        module = f"{part.package}.{part.name}"
        command = [sys.executable, "-m", "tests.gpu.child", module, str(told)]
        with self._log(part).open("w") as log:
            process = subprocess.Popen(
                [*command, json.dumps(setting)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **ENVIRONMENT},
                start_new_session=True,
            )
            try:
                return process.wait(seconds)
            except subprocess.TimeoutExpired:
                return None
            finally:
                _end_all(process)

    def _last_words(self, part: Part) -> str:
        lines = self._log(part).read_text(errors="replace").strip().splitlines()
        return f"{lines[-1] if lines else 'it said nothing'} (all of it: {self._log(part)})"

    def _log(self, part: Part) -> Path:
        return self._out / f"{part.name}.log"


def _end_all(process: subprocess.Popen[bytes]) -> None:
    """End a process and those that it left in its group."""
    for sent, seconds in ((signal.SIGTERM, SECONDS_TO_STOP), (signal.SIGKILL, None)):
        try:
            os.killpg(process.pid, sent)
        except ProcessLookupError:
            break
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            continue
        if sent == signal.SIGTERM and _is_empty(process.pid):
            break
    process.wait()


def _is_empty(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False
