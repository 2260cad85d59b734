"""Text that is made while it is sent: however much there is, a block of it is in memory."""

from collections.abc import Iterable, Iterator

from fastapi.responses import StreamingResponse

BLOCK_CHARACTERS = 64 * 1024
JSONL = "application/jsonl"
CSV = "text/csv"


class LinesResponse(StreamingResponse):
    """Lines as a file to be saved."""

    def __init__(self, lines: Iterable[str], *, name: str, media_type: str) -> None:
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        super().__init__(_blocks(lines), media_type=media_type, headers=headers)


def _blocks(lines: Iterable[str]) -> Iterator[str]:
    """Lines sent one by one would each cost a turn of the event loop and a packet."""
    block: list[str] = []
    num_characters = 0
    for line in lines:
        block.append(line)
        num_characters += len(line)
        if num_characters >= BLOCK_CHARACTERS:
            yield "".join(block)
            block, num_characters = [], 0
    yield "".join(block)
