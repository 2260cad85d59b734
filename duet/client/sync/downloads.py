# Written by `python -m duet.client.generate_sync`; edit duet/client/aio instead.

"""Complete and verified downloads, across broken connections."""

import time
from pathlib import Path

from duet.client.partial_file import Part, is_there
from duet.client.progress import Tally
from duet.client.retry import Patience
from duet.client.sync.transport import Transport
from duet.errors import ServerError, Unreachable

AWAY_SECONDS = 60.0
SILENCE_SECONDS = 60.0


def fetch(
    http: Transport, path: str, target: Path, *, sha256: str, num_bytes: int, tally: Tally
) -> Path:
    """Download a file to `target`, resuming an earlier download of it.

    Raises:
        Damaged: the file's sha256 differs from the server's.
        Unreachable: the server did not answer for a minute.
    """
    if is_there(target, sha256, num_bytes):
        tally.add(num_bytes)
        return target
    part = Part(target, sha256, num_bytes)
    tally.add(part.num_there)
    try:
        _fill(http, path, part, tally)
    finally:
        part.close()
    part.finish()
    return target


def _fill(http: Transport, path: str, part: Part, tally: Tally) -> None:
    patience = Patience(AWAY_SECONDS)
    while not part.complete:
        try:
            opened = http.opened(path, headers=part.headers, silence_seconds=SILENCE_SECONDS)
            with opened as answer:
                tally.add(part.begin(answer.status_code))
                for block in answer.iter_bytes():
                    part.write(block)
                    tally.add(len(block))
                    patience.renew()
        except (Unreachable, ServerError) as error:
            time.sleep(patience.pause_after(error))
