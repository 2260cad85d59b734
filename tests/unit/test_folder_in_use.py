"""Only one process writes into a folder of a run or an export."""

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from grpo.__main__ import main
from grpo.builtin.catalogue import MODELS
from grpo.errors import RunError
from grpo.models.export import export
from grpo.reporting.run_directory import RunDirectoryError, own_run_directory
from grpo.runtime.folder_lock import LOCK, FolderInUse, holding
from grpo.spec.job import JobSpec
from grpo.spec.resolve import resolve

HOLD = """
import sys, time
from pathlib import Path
from grpo.runtime.folder_lock import holding
with holding(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def spec() -> JobSpec:
    return resolve({})


def test_a_second_run_is_refused_with_the_firsts_process(
    tmp_path: Path, spec: JobSpec, capsys: pytest.CaptureFixture[str]
):
    """Refused before and after the first has written its log."""
    run, written = tmp_path / "run", tmp_path / "spec.yaml"
    written.write_text("preset: demo\n")
    with own_run_directory(run, spec):
        for name in ("spec.json", "records.jsonl"):
            (run / name).touch()
            before = sorted(path.name for path in run.iterdir())
            assert main(["run", str(written), "--out", str(run)]) == 2
            assert f"in use by process {os.getpid()}" in capsys.readouterr().err
            assert sorted(path.name for path in run.iterdir()) == before
    with pytest.raises(RunDirectoryError, match="not empty"), own_run_directory(run, spec):
        pass


def test_a_killed_run_releases_its_folder(tmp_path: Path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(FolderInUse, match=f"process {holder.pid}:"), holding(tmp_path):
            pass
        holder.kill()
    with holding(tmp_path):
        pass


def test_an_unrelated_folder_is_not_changed(tmp_path: Path, spec: JobSpec):
    (tmp_path / "config.json").touch()
    with pytest.raises(RunDirectoryError), own_run_directory(tmp_path, spec):
        pass
    with pytest.raises(RunError, match="already exists"):
        export(MODELS["tiny-arithmetic"].folder, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_an_export_into_a_folder_in_use_is_refused_and_a_finished_one_contains_only_a_model(
    tmp_path: Path,
):
    out = tmp_path / "out"
    with ExitStack() as first:
        first.enter_context(holding(out))
        with pytest.raises(FolderInUse, match=f"process {os.getpid()}:"):
            export(MODELS["tiny-arithmetic"].folder, out)
    export(MODELS["tiny-arithmetic"].folder, out)
    names = {path.name for path in out.iterdir()}
    assert "model.safetensors" in names
    assert LOCK not in names
