"""The user's terminal, kept free of the libraries' output."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def terminal_alone(log: Path) -> Iterator[Callable[[str], None]]:
    """Redirect the output of libraries, C++ included, to `log`; yield a printer of terminal
    lines."""
    kept = [os.dup(stream) for stream in (1, 2)]
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.close(file)
    try:
        with os.fdopen(os.dup(kept[1]), "w") as terminal:
            yield lambda line: print(line, file=terminal, flush=True)
    finally:
        for stream, before in zip((1, 2), kept, strict=True):
            os.dup2(before, stream)
            os.close(before)
