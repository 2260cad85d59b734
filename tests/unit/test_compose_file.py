"""docker-compose.yml: a GPU's worker gets its card and keeps its caches, and no worker is killed
while it saves."""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from store.settings import Settings
from worker.attempt.trainer_environment import trainer_environment

ROOT = Path(__file__).parents[2]
FILE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
WORKERS = ("worker", "worker-gpu")
GPU = SERVICES["worker-gpu"]
CACHES = ("HF_HOME", "VLLM_CACHE_ROOT", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")
SAVING_SECONDS = 30
"""A worker's own time besides its trainers' grace period: docs/operations.md, "Drain, stop"."""


def dockerfile(service: Mapping[str, Any]) -> Sequence[str]:
    """Instructions of the service's Dockerfile, each on one line."""
    text = (ROOT / service["build"]["dockerfile"]).read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return "\n".join(lines).replace("\\\n", " ").splitlines()


def environment(service: Mapping[str, Any]) -> dict[str, str]:
    """Variables of the image and of the service, with no variable set where Compose is started."""
    lines = [line for line in dockerfile(service) if line.startswith("ENV ")]
    words = [word.partition("=") for line in lines for word in shlex.split(line)[1:]]
    image = {name: value for name, _, value in words}
    own = {name: interpolated(value) for name, value in service["environment"].items()}
    return {**image, **own}


def interpolated(value: object) -> str:
    """A value as Compose reads it, where no variable is set; passwords are `secret`."""
    text = re.sub(r"\$\{\w+:\?[^}]*\}", "secret", str(value))
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def settings(service: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in ("DUET_WORKER_GPUS", "CUDA_VISIBLE_DEVICES", "DUET_GRACE_SECONDS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment(service).items():
        monkeypatch.setenv(name, value)
    return Settings()  # pyright: ignore[reportCallIssue] - the environment fills it


def volumes(service: Mapping[str, Any]) -> dict[PurePosixPath, str]:
    """Named volumes by the folder at which each is mounted."""
    pairs = [mount.split(":") for mount in service["volumes"]]
    return {PurePosixPath(target): name for name, target in pairs}


def seconds(duration: str) -> int:
    [(minutes, rest)] = re.findall(r"^(?:(\d+)m)?(?:(\d+)s)?$", duration)
    return 60 * int(minutes or 0) + int(rest or 0)


def test_the_gpu_worker_reserves_nvidia_gpus():
    [device] = GPU["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia"
    assert "gpu" in device["capabilities"]
    assert device["count"] == "all" or device["count"] >= 1


def test_the_gpu_worker_starts_only_with_its_profile():
    assert {name for name, service in SERVICES.items() if "profiles" in service} == {"worker-gpu"}
    assert GPU["profiles"] == ["gpu"]


def test_no_variable_hides_the_card_from_the_worker_and_its_trainers(
    monkeypatch: pytest.MonkeyPatch,
):
    # None: all that nvidia-smi lists.
    assert settings(GPU, monkeypatch).gpus is None
    shown = environment(GPU).get("NVIDIA_VISIBLE_DEVICES", "all")
    assert shown not in ("", "void", "none")
    # Without "utility" there is no nvidia-smi in the container, which names the cards.
    granted = environment(GPU)["NVIDIA_DRIVER_CAPABILITIES"].split(",")
    assert {"compute", "utility"} <= set(granted) or granted == ["all"]


@pytest.mark.parametrize("cache", CACHES)
def test_models_and_compiled_kernels_survive_the_container(cache: str):
    folder = PurePosixPath(environment(GPU)[cache])
    [mount] = [target for target in volumes(GPU) if folder.is_relative_to(target)]
    assert volumes(GPU)[mount] in FILE["volumes"]
    # A new volume has the owner of the image's folder: the trainer must be able to write there.
    [made] = [line for line in dockerfile(GPU) if "install -d -o duet" in line]
    assert str(mount) in made.split()
    assert trainer_environment(environment(GPU), named=())[cache] == str(folder)


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_is_not_killed_before_its_trainers_have_had_their_time_to_save(
    name: str, monkeypatch: pytest.MonkeyPatch
):
    grace = settings(SERVICES[name], monkeypatch).grace_seconds
    assert seconds(SERVICES[name]["stop_grace_period"]) >= grace + SAVING_SECONDS


def test_the_gpu_worker_has_all_that_the_other_has():
    other = SERVICES["worker"]
    assert other["environment"].items() <= GPU["environment"].items()
    assert volumes(other).items() <= volumes(GPU).items()
    assert other["depends_on"] == GPU["depends_on"]
    assert other["restart"] == GPU["restart"]


def test_only_processes_that_use_the_projects_secrets_have_their_key():
    """Migrations and the ops process, which parses uploaded files, decrypt none."""
    having = {
        name
        for name, service in SERVICES.items()
        if "DUET_SECRETS_KEY" in service.get("environment", {})
    }
    assert having == {"api", *WORKERS}
