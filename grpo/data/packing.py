"""Compressed data files: gzip and zstd, decompressed while reading, up to a limit."""

import gzip
import io
import zlib
from typing import BinaryIO

from grpo.data.rows import RowError

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
MAX_WINDOW_BYTES = 1 << 27  # of zstd: memory that a stream may require
BLOCK_BYTES = 1024
"""Bytes read at once of a zstd file: four bytes can expand to 128 KiB."""
DEFAULT_MAX_BYTES = 8 << 30


def is_packed(begins: bytes) -> bool:
    return begins.startswith((GZIP, ZSTD))


def unpacked(file: BinaryIO, *, max_bytes: int = DEFAULT_MAX_BYTES) -> BinaryIO:
    """Return the content of a gzip or zstd file, to be read once from the start.

    Reading raises RowError where the file is damaged or exceeds `max_bytes`.
    """
    begins = file.read(len(ZSTD))
    file.seek(0)
    stream = gzip.GzipFile(fileobj=file) if begins.startswith(GZIP) else _Zstd(file)
    return io.BufferedReader(_Bounded(stream, max_bytes))


class _Zstd:
    """A zstd file's content; the library's own reader does not detect a truncated file."""

    def __init__(self, file: BinaryIO) -> None:
        from zstandard import ZstdDecompressor

        self._file = file
        self._decompressor = ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
        self._frame = self._decompressor.decompressobj()
        self._begun = False
        self._ready = b""

    def read(self, num_bytes: int) -> bytes:
        while not self._ready:
            block = self._file.read(BLOCK_BYTES)
            if not block:
                if self._begun:
                    raise EOFError("a frame is cut off")
                return b""
            self._take(block)
        found, self._ready = self._ready[:num_bytes], self._ready[num_bytes:]
        return found

    def _take(self, block: bytes) -> None:
        parts: list[bytes] = []
        while block:
            parts.append(self._frame.decompress(block))
            self._begun = not self._frame.eof
            block = self._frame.unused_data if self._frame.eof else b""
            if self._frame.eof:
                self._frame = self._decompressor.decompressobj()
        self._ready = b"".join(parts)


class _Bounded(io.RawIOBase):
    """A stream limited to a number of bytes."""

    def __init__(self, stream: gzip.GzipFile | _Zstd, max_bytes: int) -> None:
        self._stream = stream
        self._max_bytes = max_bytes
        self._num_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        from zstandard import ZstdError

        try:
            block = self._stream.read(len(buffer))
        except (OSError, EOFError, zlib.error, ZstdError) as error:
            raise RowError(f"the compressed file is damaged: {error}") from None
        self._num_bytes += len(block)
        if self._num_bytes > self._max_bytes:
            raise RowError(f"the compressed file decompresses to more than {self._max_bytes} bytes")
        buffer[: len(block)] = block
        return len(block)
