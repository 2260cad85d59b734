"""Rows from Parquet; errors name the row."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as arrow
import pytest
from pyarrow import parquet

from grpo.data.files import read_rows
from grpo.data.rows import Row, RowError, render


def write(folder: Path, table: arrow.Table, *, row_group_size: int | None = None) -> Path:
    path = folder / "rows"
    parquet.write_table(table, path, row_group_size=row_group_size)
    return path


def test_rows_are_counted_over_batches_and_row_groups(tmp_path: Path):
    path = write(tmp_path, arrow.table({"n": list(range(1000))}), row_group_size=300)
    assert [(row.number, row.fields["n"]) for row in read_rows(path)] == [
        (n + 1, n) for n in range(1000)
    ]


def test_values_are_what_json_would_hold(tmp_path: Path):
    row = {
        "text": "é",
        "whole": 3,
        "real": 0.5,
        "flag": True,
        "missing": None,
        "list": [[1], []],
        "struct": {"a": {"b": ["x"]}},
        "decimal": Decimal("1.50"),
        "day": date(2026, 1, 2),
        "moment": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "bytes": b"\x00\xff",
    }
    [read] = read_rows(write(tmp_path, arrow.Table.from_pylist([row])))
    assert read == Row(
        1,
        {
            **row,
            "decimal": "1.50",
            "day": "2026-01-02",
            "moment": "2026-01-02T03:04:05+00:00",
            "bytes": "AP8=",
        },
        "row",
    )


def test_a_template_names_the_row_where_jsonl_has_a_line(tmp_path: Path):
    first, second = read_rows(write(tmp_path, arrow.table({"a": ["x", None]})))
    assert render("{{a}}!", first) == "x!"
    with pytest.raises(RowError, match="row 2: field 'a' is null"):
        render("{{a}}", second)
    with pytest.raises(RowError, match="row 2 has no field 'b'; it has 'a'"):
        render("{{b}}", second)


def test_a_text_that_is_not_utf_8_is_named(tmp_path: Path):
    offsets, text = arrow.py_buffer(bytes([0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0])), b"ab\xff"
    broken = arrow.StringArray.from_buffers(2, offsets, arrow.py_buffer(text))
    rows = read_rows(write(tmp_path, arrow.table({"a": broken})))
    assert next(rows) == Row(1, {"a": "a"}, "row")
    with pytest.raises(RowError, match="row 2: field 'a' is not UTF-8: byte 2 is invalid"):
        next(rows)


def test_columns_of_one_name_are_refused(tmp_path: Path):
    column = arrow.array([1])
    table = arrow.Table.from_arrays([column, column], names=["a", "a"])
    with pytest.raises(RowError, match="two columns of the Parquet file are named 'a'"):
        list(read_rows(write(tmp_path, table)))


def test_an_error_in_a_damaged_file_names_the_last_readable_row(tmp_path: Path):
    path = write(tmp_path, arrow.table({"n": list(range(1000))}), row_group_size=512)
    with parquet.ParquetFile(path) as file:
        column = file.metadata.row_group(1).column(0)
        damaged = column.dictionary_page_offset or column.data_page_offset
    whole = path.read_bytes()
    path.write_bytes(whole[:damaged] + bytes(64) + whole[damaged + 64 :])
    with pytest.raises(RowError, match="the Parquet file cannot be read after row 512: "):
        list(read_rows(path))
    path.write_bytes(whole[:-20])
    with pytest.raises(RowError, match="the Parquet file cannot be read after row 0: "):
        list(read_rows(path))
