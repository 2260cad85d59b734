"""A Debian with a given list of packages, and a clone of this repository that a user owns."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tests.debian import make_root
from tests.pip_settings import pip_settings

ROOT = Path(__file__).parents[2]
ENTER = Path(__file__).with_name("enter.sh")
OWN_NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
USER = 1000
ADD_USER = ("useradd", f"--uid={USER}", "--no-create-home")


class CommandFailed(Exception):
    """A failed command, with the end of its output."""


class BareMachine:
    """A root folder with processes of its own, on this machine's kernel and network."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="duet-bare-"))
        self._root = self._folder / "root"

    @staticmethod
    def missing() -> str:
        """Return why this machine cannot make one; empty if it can."""
        if os.geteuid() != 0:
            return "it needs root"
        programs = ("debootstrap", "unshare", "git")
        absent = [name for name in programs if shutil.which(name) is None]
        return f"not installed: {', '.join(absent)}" if absent else ""

    def install(self, packages: Iterable[str]) -> None:
        """Make the root with these packages alone, and clone this repository's last commit."""
        make_root(self._root, packages)
        subprocess.run([*ADD_USER, "--root", self._root, "user"], check=True)
        pip = pip_settings()
        (self._root / "etc/pip.conf").write_text(pip.text)
        self._paths = pip.paths
        clone = self._root / "srv/duet"
        subprocess.run(["git", "clone", "--quiet", "--no-local", ROOT, clone], check=True)
        subprocess.run(["chown", "-R", f"{USER}:{USER}", clone], check=True)

    def add(self, packages: Iterable[str]) -> None:
        """Install further packages."""
        names = " ".join(packages)
        self.run(
            f"apt-get update -qq && apt-get install -qqy --no-install-recommends {names}", user=0
        )

    def run(self, command: str, *, user: int = USER) -> str:
        """Run a shell's command in the clone and return its output.

        Raises:
            CommandFailed: its exit code is not 0.
        """
        enter = ("sh", str(ENTER), str(self._root), str(user), command)
        done = subprocess.run(
            [*OWN_NAMESPACES, *enter, *map(str, self._paths)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise CommandFailed(f"`{command}`: exit code {done.returncode}\n{done.stdout[-6000:]}")
        return done.stdout

    def remove(self) -> None:
        shutil.rmtree(self._folder)
