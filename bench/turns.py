"""Contestants that take turns, so that load on the machine affects all of them alike.

Each runs in a separate process, loaded and warm, and works only in its turn.
"""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

SPAWN = multiprocessing.get_context("spawn")
SECONDS_TO_END = 20.0
LOG_TAIL = 3000  # characters


class ContestantFailed(RuntimeError):
    """A contestant's process ended unexpectedly."""


@dataclass(frozen=True)
class Turn:
    """One turn: wall time [s], and the contestant's report."""

    seconds: float
    said: Any


class Turns:
    """A contestant's side of the connection: its next commands."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def next(self, said: Any = None) -> Any:  # noqa: ANN401 - each contestant has its own reports
        """End a turn, or the preparations, and wait for the next one.

        Raises:
            SystemExit: no further turn.
        """
        self._connection.send(said)
        try:
            return self._connection.recv()
        except EOFError:
            raise SystemExit(0) from None


class Contestant:
    """The contest's side of a process that runs `play(turns, *arguments)`."""

    def __init__(
        self, play: Callable[..., None], arguments: Sequence[object], *, log: Path
    ) -> None:
        self._log = log
        self._connection, theirs = SPAWN.Pipe()
        self._process = SPAWN.Process(target=_play, args=(play, theirs, log, arguments))
        self._process.start()
        theirs.close()
        self.prepared: Any = None  # what it said when it was ready

    def prepare(self) -> None:
        """Wait until it is loaded."""
        self.prepared = self._hear()

    def turn(self, asked: object = None) -> Turn:
        began_at = time.perf_counter()
        self._connection.send(asked)
        said = self._hear()
        return Turn(time.perf_counter() - began_at, said)

    def close(self) -> None:
        self._connection.close()
        self._process.join(SECONDS_TO_END)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _hear(self) -> Any:  # noqa: ANN401
        try:
            return self._connection.recv()
        except EOFError:
            tail = self._log.read_text(errors="replace")[-LOG_TAIL:]
            raise ContestantFailed(f"{self._log.stem} ended; its last words:\n{tail}") from None


Player = tuple[Callable[..., None], Sequence[object]]
"""`play` and its arguments behind the turns."""


@contextmanager
def contest(players: Mapping[str, Player], *, logs: Path) -> Iterator[dict[str, Contestant]]:
    """Start all contestants, wait until they are ready, and end them afterwards."""
    with ExitStack() as stack:
        contestants = {}
        for name, (play, arguments) in players.items():
            contestants[name] = Contestant(play, arguments, log=logs / f"{name}.log")
            stack.callback(contestants[name].close)
        for contestant in contestants.values():
            contestant.prepare()
        yield contestants


def alternate(
    players: Mapping[str, Callable[[], Turn]], *, rounds: int, warmups: int
) -> dict[str, list[Turn]]:
    """Return all players' turns, taken in the order A B A B ..., without the first `warmups`."""
    turns: dict[str, list[Turn]] = {name: [] for name in players}
    for number in range(warmups + rounds):
        for name, take_turn in players.items():
            turn = take_turn()
            if number >= warmups:
                turns[name].append(turn)
    return turns


def _play(
    play: Callable[..., None], connection: Connection, log: Path, arguments: Sequence[object]
) -> None:
    """Run a contestant in the new process; output of libraries, C++ included, goes to its log."""
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    play(Turns(connection), *arguments)
