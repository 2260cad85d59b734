"""docker-compose.yml run by podman-compose as root, for machines without Docker."""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.compose.engine import FILE, PROJECT, ROOT, SERVICES, Engine, EngineError
from tests.compose.podman_images import PodmanImages
from tests.compose.podman_settings import podman_environment
from tests.waiting import wait_until

PROGRAMS = ("podman", "runc", "conmon", "netavark", "aardvark-dns", "iptables", "debootstrap")
HELPERS = "/usr/lib/podman:/usr/libexec/podman"
COMPOSE = ROOT / "build" / "podman-compose" / "podman_compose.py"
OVERRIDE = Path(__file__).with_name("podman.yml")


class PodmanEngine(Engine):
    """`podman-compose`; this class starts services in order and runs their health checks."""

    program = "podman"
    differences = (
        ("the official images", "no registry: stand-ins for Python, Postgres and Valkey"),
        ("Compose's own order and health checks", "Podman without systemd: the test runs them"),
    )

    def __init__(self, variables: Mapping[str, str], folder: Path) -> None:
        """`folder` keeps images, as Docker does, so that a second run builds only what changed."""
        super().__init__({**podman_environment(folder), **variables})
        self._images = PodmanImages(folder, self.run)

    @staticmethod
    def missing() -> str:
        path = f"{os.environ['PATH']}:{HELPERS}"
        absent = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
        if absent:
            return f"not installed: {', '.join(absent)}"
        return "" if os.geteuid() == 0 else "it needs root, to make the base image"

    def build(self, service: str) -> None:
        self._images.build(service)

    def up(self) -> None:
        self._images.build_stand_ins()
        self._start("postgres", "valkey")
        self._start("migrate")
        self._wait_for_end("migrate")
        self._start("api", "worker", "ops")

    def is_healthy(self, service: str) -> bool:
        kind, *command = SERVICES[service]["healthcheck"]["test"]
        assert kind == "CMD", "only that form is used here"
        try:
            self.compose("exec", "-T", service, *command)
        except EngineError:
            return False
        return True

    def compose(self, *arguments: str) -> str:
        given = ("--project-name", PROJECT, "--file", str(FILE), "--file", str(OVERRIDE))
        return self.run(sys.executable, str(COMPOSE), *given, *arguments)

    def remove(self) -> None:
        self.compose("down", "--volumes")

    def _start(self, *services: str) -> None:
        self.compose("up", "--detach", "--no-build", "--no-deps", *services)
        checked = [name for name in services if "healthcheck" in SERVICES[name]]
        for name in checked:
            wait_until(lambda name=name: self.is_healthy(name), seconds=60)

    def _wait_for_end(self, service: str) -> None:
        wait_until(lambda: self._inspect(service, "{{.State.Status}}") == "exited", seconds=60)
        if self.exit_code(service) != 0:
            raise EngineError(f"{service} failed:\n{self.compose('logs', service)}")
