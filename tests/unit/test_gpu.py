"""A run assigned to a GPU does not train on the CPU instead."""

import json
from pathlib import Path

import pytest
import torch

from grpo.errors import ERRORS, RunError
from grpo.reporting.run_directory import prepare_run_directory
from grpo.run import run
from grpo.runtime.gpu import require_gpu
from grpo.runtime.stop import Stop
from grpo.spec.resolve import resolve

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")


def test_a_run_for_a_gpu_fails_before_it_loads_anything(tmp_path: Path):
    spec = resolve({"resources": {"gpus": 1}, "model": {"source": "/nowhere"}})
    prepare_run_directory(tmp_path / "run", spec)
    assert run(spec, tmp_path / "run", stop=Stop()) == 1
    lines = (tmp_path / "run/records.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["kind"] for record in records] == ["end"]
    assert records[0]["payload"]["error"]["code"] == "gpu_unavailable"


def test_the_reason_is_the_drivers_or_the_builds():
    with pytest.raises(RunError) as caught:
        require_gpu()
    assert ERRORS[caught.value.code].retried
    assert torch.__version__ in caught.value.message
    if torch.version.cuda is None:
        assert "this build of torch is for the CPU" in caught.value.message
    else:
        assert "NVIDIA" in caught.value.message
    assert "make setup GPU=1" in caught.value.hint
    assert "driver" in caught.value.hint
