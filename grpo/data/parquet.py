"""Parquet: rows read in batches, with values as in JSON."""

import math
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import IO, TYPE_CHECKING, Any, BinaryIO

from grpo.data.rows import Row, RowError
from grpo.values.written_number import Precision, WrittenNumber, shortest

if TYPE_CHECKING:
    from pyarrow import Array, DataType, Scalar

MAGIC = b"PAR1"  # first and last bytes of a Parquet file
BATCH_ROWS = 256
PRECISIONS: Mapping[int, Precision] = {16: "e", 32: "f", 64: "d"}

Cells = Mapping[str, "Scalar"]
"""One row in Arrow: cells by column, possibly not decodable."""


def read_parquet(file: BinaryIO) -> Iterator[Row]:
    """Yield the rows of a Parquet file.

    Raises:
        RowError: the file is damaged, or a value cannot be read.
    """
    for number, cells in enumerate(parquet_rows(file), start=1):
        yield parse_cells(cells, number)


def parquet_rows(file: IO[bytes], *, max_bytes: float = math.inf) -> Iterator[Cells]:
    """Yield the rows of a Parquet file, not yet decoded.

    Args:
        max_bytes: limit on all decompressed rows: a few bytes can expand to any number of rows.

    Raises:
        RowError: the file is damaged or too large, or two columns have the same name.
    """
    # Imported here: it loads numpy if installed, which the API starts without.
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    number = num_bytes = 0
    try:
        content = ParquetFile(file)
        names = content.schema_arrow.names
        _refuse_doubled(names)
        for batch in content.iter_batches(BATCH_ROWS):
            columns = [_expanded(column) for column in batch.columns]
            num_bytes += sum(column.nbytes for column in columns)
            if num_bytes > max_bytes:
                raise RowError(f"the Parquet file decompresses to more than {max_bytes} bytes")
            for place in range(batch.num_rows):
                number += 1
                yield {name: column[place] for name, column in zip(names, columns, strict=True)}
    except MemoryError:
        raise RowError(
            f"the Parquet file needs too much memory to decompress after row {number}: write "
            "smaller row groups and values"
        ) from None
    except (ArrowException, OSError) as error:
        reason = str(error).split("\n", 1)[0]
        raise RowError(f"the Parquet file cannot be read after row {number}: {reason}") from error


def _expanded(column: "Array") -> "Array":
    """Return the size without a dictionary, which counts repeated values once."""
    from pyarrow import DictionaryArray

    return column.dictionary_decode() if isinstance(column, DictionaryArray) else column


def parse_cells(cells: Cells, number: int) -> Row:
    """Return one row of a Parquet file.

    Raises:
        RowError: a text is not UTF-8, or a value exceeds Python's range.
    """
    fields = {}
    for name, cell in cells.items():
        try:
            fields[name] = _as_written(as_json(cell.as_py()), cell.type)
        except UnicodeDecodeError as error:
            raise RowError(
                f"row {number}: field {name!r} is not UTF-8: byte {error.start + 1} is invalid"
            ) from None
        except (ValueError, OverflowError, RecursionError) as error:
            raise RowError(f"row {number}: field {name!r} cannot be read: {error}") from None
    return Row(number, fields, "row")


def as_json(value: Any) -> Any:  # noqa: ANN401
    """Return a value for JSON: decimals, dates and times as text, binary values as base64."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(value)


def _as_written(value: Any, kind: "DataType") -> Any:  # noqa: ANN401
    """Return the value with the shortest digits of its own type for each number in it."""
    from pyarrow import types

    if value is None:
        return None
    if types.is_floating(kind):
        finite = math.isfinite(value)
        return WrittenNumber(shortest(value, PRECISIONS[kind.bit_width])) if finite else value
    if types.is_dictionary(kind):
        return _as_written(value, kind.value_type)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return [_as_written(item, kind.value_type) for item in value]
    if types.is_map(kind):
        return [
            [_as_written(key, kind.key_type), _as_written(item, kind.item_type)]
            for key, item in value
        ]
    if types.is_struct(kind):
        return {part.name: _as_written(value[part.name], part.type) for part in kind}
    return value


def _refuse_doubled(names: list[str]) -> None:
    for name, times in Counter(names).items():
        if times > 1:
            raise RowError(f"two columns of the Parquet file are named {name!r}")
