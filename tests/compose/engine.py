"""docker-compose.yml run by Docker: its images, services and containers."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text())["services"]
PROJECT = "duet-test"
HEALTH = "{{if .State.Health}}{{.State.Health.Status}}{{end}}"


class EngineError(Exception):
    """A failed command of the engine, with the end of its output."""


class Engine:
    """`docker compose`, called as a user would."""

    program = "docker"
    differences: Sequence[tuple[str, str]] = ()
    """Guarantees that this engine cannot show, each with the reason."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        """`variables`: values that docker-compose.yml requires."""
        self.environment = {**os.environ, **variables}

    @staticmethod
    def missing() -> str:
        """Return why this engine does not work here; empty where it does."""
        return _refusal(["docker", "info"]) or _refusal(["docker", "compose", "version"])

    def build(self, service: str) -> None:
        self.compose("--profile", "gpu", "build", service)

    def up(self) -> None:
        """Start every service that needs no profile, each once what it depends on is ready."""
        self.compose("up", "--detach", "--no-build")

    def is_healthy(self, service: str) -> bool:
        return self._inspect(service, HEALTH) == "healthy"

    def exit_code(self, service: str) -> int:
        """Return the exit code of a service's stopped container."""
        return int(self._inspect(service, "{{.State.ExitCode}}"))

    def compose(self, *arguments: str) -> str:
        return self.run(
            *("docker", "compose", "--project-name", PROJECT, "--file", str(FILE)), *arguments
        )

    def remove(self) -> None:
        """Remove the containers, their networks and their volumes; images stay."""
        self.compose("--profile", "gpu", "down", "--volumes")

    def run(self, *command: str) -> str:
        """Run a command to its end and return its standard output.

        Raises:
            EngineError: it failed.
        """
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            output = f"{done.stdout[-2000:]}{done.stderr[-6000:]}"
            raise EngineError(f"{' '.join(command)}: exit code {done.returncode}\n{output}")
        return done.stdout

    def _inspect(self, service: str, template: str) -> str:
        labels = {"project": PROJECT, "service": service}
        filters = [f"--filter=label=com.docker.compose.{key}={labels[key]}" for key in labels]
        [container] = self.run(self.program, "ps", "--all", "--quiet", *filters).split()
        return self.run(self.program, "inspect", "--format", template, container).strip()


def _refusal(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return f"{command[0]} is not installed"
    return f"`{' '.join(command)}`: {done.stderr.strip()}" if done.returncode else ""
