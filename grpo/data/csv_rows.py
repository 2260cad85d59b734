"""CSV: a header of field names, then a row a record; every value is a text, as it is written."""

import csv
from collections.abc import Iterator
from typing import TextIO

from grpo.data.rows import Row, RowError

MAX_FIELD_CHARACTERS = 1 << 24


def read_csv(file: TextIO) -> Iterator[Row]:
    """The rows of a CSV file in UTF-8, opened with `newline=""`.

    Raises:
        RowError: it has no header, or a record has other fields than the header.
    """
    csv.field_size_limit(MAX_FIELD_CHARACTERS)
    records = csv.reader(file)
    number = 0
    try:
        header = next(records, None)
        if not header or len(set(header)) < len(header):
            raise RowError("the first line names no fields, or one of them twice")
        for number, record in enumerate(filter(None, records), start=1):
            if len(record) != len(header):
                raise RowError(f"row {number} has {len(record)} values for {len(header)} fields")
            yield Row(number, dict(zip(header, record, strict=True)), "row")
    except UnicodeDecodeError:
        raise RowError(f"the file is not UTF-8 after row {number}") from None
    except csv.Error as error:
        raise RowError(f"the file is no CSV after row {number}: {error}") from None
