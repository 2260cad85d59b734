"""The lock of the build for GPUs: complete, agreeing with the others, and CUDA's torch alone."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(file: str) -> dict[str, str]:
    """Return the versions by distribution that apply to this Python."""
    lines = (ROOT / "requirements" / file).read_text().splitlines()
    pinned = [Requirement(line) for line in lines if line and not line.startswith(("#", "-r"))]
    return {
        canonical(each.name): str(each.specifier).lstrip("=")
        for each in pinned
        if each.marker is None or each.marker.evaluate()
    }


def declared(extra: str) -> list[Requirement]:
    """Return the project's requirements with an extra's, and those of the extras in it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = [Requirement(line) for line in project["dependencies"]]
    for requirement in map(Requirement, project["optional-dependencies"][extra]):
        inner = requirement.extras if requirement.name == "duet" else ()
        found += [each for name in inner for each in declared(name)] or [requirement]
    return found


LOCK = pins("gpu.txt")


def test_it_has_all_that_the_extra_names_in_a_version_that_the_extra_takes():
    for requirement in declared("gpu"):
        assert requirement.specifier.contains(LOCK[canonical(requirement.name)]), requirement


def test_our_servers_have_the_versions_that_they_are_tested_with():
    tested = pins("api.txt")
    assert {name: LOCK.get(name) for name in tested} == tested


def test_no_distribution_of_the_tools_of_development_has_two_versions():
    dev = pins("dev.txt")
    for other in (LOCK, {**pins("api.txt"), **pins("cpu.txt")}):
        assert {name: other[name] for name in dev if name in other} == {
            name: dev[name] for name in dev if name in other
        }


def test_the_tools_of_development_find_all_that_they_need():
    present = {*LOCK, *pins("dev.txt"), "pip", "setuptools"}
    for tool in pins("dev.txt"):
        for requirement in map(Requirement, requires(tool) or []):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                assert canonical(requirement.name) in present, f"{tool} needs {requirement}"


def test_it_names_no_index_and_no_file():
    text = (ROOT / "requirements/gpu.txt").read_text()
    assert re.search(r"://|--index|--find-links|@", text) is None


@pytest.mark.parametrize(("version", "taken"), [("{}", True), ("{}+cpu", False), ("{}.1", False)])
def test_a_build_of_torch_for_the_cpu_is_not_taken(version: str, taken: bool, tmp_path: Path):
    version = version.format(LOCK["torch"])
    (line,) = re.findall(r"^torch=.*$", (ROOT / "requirements/gpu.txt").read_text(), re.MULTILINE)
    info = f"torch-{version}.dist-info"
    with zipfile.ZipFile(tmp_path / f"torch-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    settings = {**os.environ, "PIP_CONFIG_FILE": os.devnull}
    pip = [sys.executable, "-m", "pip", "--isolated", "install", "--dry-run", "--ignore-installed"]
    command = [*pip, "--no-deps", "--no-index", "--find-links", str(tmp_path), line]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=settings)
    assert (done.returncode == 0) is taken, done.stderr


@pytest.mark.nightly
@pytest.mark.timeout(1200)
def test_pypi_has_all_of_it_and_nothing_is_missing():
    command = [sys.executable, str(ROOT / ".ci/lock_gpu.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
