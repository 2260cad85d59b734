"""Complete and verified downloads, across broken connections."""

from pathlib import Path

import anyio.to_thread

from duet.client.aio.transport import AsyncTransport
from duet.client.partial_file import Part, is_there
from duet.client.progress import Tally
from duet.client.retry import Patience
from duet.errors import ServerError, Unreachable

AWAY_SECONDS = 60.0
SILENCE_SECONDS = 60.0


async def fetch(
    http: AsyncTransport, path: str, target: Path, *, sha256: str, num_bytes: int, tally: Tally
) -> Path:
    """Download a file to `target`, resuming an earlier download of it.

    Raises:
        Damaged: the file's sha256 differs from the server's.
        Unreachable: the server did not answer for a minute.
    """
    if await anyio.to_thread.run_sync(is_there, target, sha256, num_bytes):
        tally.add(num_bytes)
        return target
    part = await anyio.to_thread.run_sync(Part, target, sha256, num_bytes)
    tally.add(part.num_there)
    try:
        await _fill(http, path, part, tally)
    finally:
        part.close()
    part.finish()
    return target


async def _fill(http: AsyncTransport, path: str, part: Part, tally: Tally) -> None:
    patience = Patience(AWAY_SECONDS)
    while not part.complete:
        try:
            opened = http.opened(path, headers=part.headers, silence_seconds=SILENCE_SECONDS)
            async with opened as answer:
                tally.add(part.begin(answer.status_code))
                async for block in answer.aiter_bytes():
                    part.write(block)
                    tally.add(len(block))
                    patience.renew()
        except (Unreachable, ServerError) as error:
            await anyio.sleep(patience.pause_after(error))
