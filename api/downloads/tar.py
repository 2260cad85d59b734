"""A folder of the artifact store as a tar archive."""

import tarfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from fastapi.responses import StreamingResponse

from store.artifacts.artifacts import Artifacts

END = bytes(2 * tarfile.BLOCKSIZE)


def tar_of(
    artifacts: Artifacts,
    key: str,
    files: Sequence[dict[str, Any]],
    *,
    folder: str,
    written_at: datetime,
) -> StreamingResponse:
    """A stored folder as a tar archive, built while it is sent.

    Each file's sha256 is verified on the way: the answer is aborted at a damaged file.
    """
    heads = [_head(f"{folder}/{file['path']}", file["bytes"], written_at) for file in files]

    def blocks() -> Iterator[bytes]:
        for head, file in zip(heads, files, strict=True):
            yield head
            yield from artifacts.blocks(
                f"{key}/{file['path']}", num_bytes=file["bytes"], sha256=file["sha256"]
            )
            yield bytes(_padding(file["bytes"]))
        yield END

    num_bytes = len(END) + sum(
        len(head) + file["bytes"] + _padding(file["bytes"])
        for head, file in zip(heads, files, strict=True)
    )
    headers = {
        "Content-Length": str(num_bytes),
        "Content-Disposition": f'attachment; filename="{folder}.tar"',
    }
    return StreamingResponse(blocks(), media_type="application/x-tar", headers=headers)


def _head(path: str, num_bytes: int, written_at: datetime) -> bytes:
    info = tarfile.TarInfo(path)
    info.size, info.mtime = num_bytes, int(written_at.timestamp())
    return info.tobuf(tarfile.PAX_FORMAT)


def _padding(num_bytes: int) -> int:
    return -num_bytes % tarfile.BLOCKSIZE
