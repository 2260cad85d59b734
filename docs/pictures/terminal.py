"""A real terminal of 80 columns, and its screen as a picture: tmux draws, Rich prints."""

import io
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS, LINES = 80, 24
SHELL = ("bash", "--noprofile", "--norc")


class Terminal:
    """One shell in a tmux of its own, which is reached by the socket alone."""

    def __init__(self, socket: Path, environment: Mapping[str, str]) -> None:
        self._tmux = ["tmux", "-f", "/dev/null", "-S", str(socket)]
        self._environment = environment

    def start(self) -> None:
        self._call("new-session", "-d", f"-x{COLUMNS}", f"-y{LINES}", *SHELL)

    def enter(self, command: str) -> None:
        self._call("send-keys", command, "Enter")

    def draw(self, path: Path, *, title: str) -> None:
        """What is on the screen, as SVG."""
        screen = Text.from_ansi(self._call("capture-pane", "-e", "-p").rstrip())
        console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
        console.print(screen, no_wrap=True)
        console.save_svg(str(path), title=title, unique_id=path.stem)

    def stop(self) -> None:
        self._call("kill-server")

    def _call(self, *arguments: str) -> str:
        command = [*self._tmux, *arguments]
        done = subprocess.run(
            command, env=self._environment, check=True, capture_output=True, text=True
        )
        return done.stdout


@contextmanager
def terminal(folder: Path, environment: Mapping[str, str]) -> Iterator[Terminal]:
    """In which `duet` is the installed command of the Python that runs this."""
    installed = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ours = {"PATH": installed, "PS1": "$ ", "COLORTERM": "truecolor"}
    opened = Terminal(folder / "tmux", {**os.environ, **ours, **environment})
    opened.start()
    try:
        yield opened
    finally:
        opened.stop()
