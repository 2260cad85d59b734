"""Text that is generated while it is sent, with one block in memory at a time."""

from collections.abc import Iterable, Iterator

from fastapi.responses import StreamingResponse

BLOCK_CHARACTERS = 64 * 1024
JSONL = "application/jsonl"
CSV = "text/csv"


class LinesResponse(StreamingResponse):
    """Lines as a file download."""

    def __init__(self, lines: Iterable[str], *, name: str, media_type: str) -> None:
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        super().__init__(_blocks(lines), media_type=media_type, headers=headers)


def _blocks(lines: Iterable[str]) -> Iterator[str]:
    """Join lines into blocks: sent one by one, each line would cost an event-loop iteration and a
    packet."""
    block: list[str] = []
    num_characters = 0
    for line in lines:
        block.append(line)
        num_characters += len(line)
        if num_characters >= BLOCK_CHARACTERS:
            yield "".join(block)
            block, num_characters = [], 0
    yield "".join(block)
