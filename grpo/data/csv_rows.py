"""CSV: a header of field names, then one row per record; every value stays text."""

import csv
from collections.abc import Iterator
from typing import TextIO

from grpo.data.rows import Row, RowError

MAX_FIELD_CHARACTERS = 1 << 24


def read_csv(file: TextIO) -> Iterator[Row]:
    """Yield the rows of a CSV file in UTF-8, opened with `newline=""`.

    Raises:
        RowError: the file has no header, or a record does not match it.
    """
    csv.field_size_limit(MAX_FIELD_CHARACTERS)
    records = csv.reader(file)
    number = 0
    try:
        header = next(records, None)
        if not header or len(set(header)) < len(header):
            raise RowError("the first line has no field names, or repeats one")
        for number, record in enumerate(filter(None, records), start=1):
            if len(record) != len(header):
                raise RowError(f"row {number} has {len(record)} values for {len(header)} fields")
            yield Row(number, dict(zip(header, record, strict=True)), "row")
    except UnicodeDecodeError:
        raise RowError(f"the file is not UTF-8 after row {number}") from None
    except csv.Error as error:
        raise RowError(f"the file is not valid CSV after row {number}: {error}") from None
