"""Inspection of data files row by row, within bounds."""

import json
from pathlib import Path
from tempfile import NamedTemporaryFile

import pyarrow as arrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from grpo.data.inspection import (
    HEAD_BYTES,
    MAX_FIELDS,
    MAX_ROW_BYTES,
    MAX_ROW_DEPTH,
    MAX_ROW_ITEMS,
    Inspection,
    head_of,
    inspect,
    inspect_counting,
    read_counter,
    rows_of_head,
)
from grpo.data.rows import Row
from grpo.runtime.bounded_process import OutOfMemory, OutOfTime, call_bounded

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = SCALARS | st.lists(SCALARS, max_size=3)
ROWS = st.lists(st.dictionaries(st.text(max_size=5), VALUES, max_size=3), max_size=3)


def inspected(folder: Path, *lines: bytes) -> Inspection:
    file = folder / "rows.jsonl"
    file.write_bytes(b"\n".join(lines))
    return inspect(str(file))


def nested(depth: int) -> bytes:
    """Return a row of nested lists with `depth` levels, including the row itself."""
    return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (nested(MAX_ROW_DEPTH), None),
        (nested(MAX_ROW_DEPTH + 1), f"is nested deeper than {MAX_ROW_DEPTH} levels"),
        (b'{"a": [' + b"1," * (MAX_ROW_ITEMS - 2) + b"1]}", None),
        (b'{"a": [' + b"1," * (MAX_ROW_ITEMS - 1) + b"1]}", f"has more than {MAX_ROW_ITEMS}"),
        (b'{"a": [' + b"[]," * MAX_ROW_ITEMS + b"1]}", f"has more than {MAX_ROW_ITEMS}"),
        (b'{"a": {"b": "' + b"x" * (MAX_ROW_BYTES - 17) + b'"}}', None),
        (b'{"a": {"b": "' + b"x" * MAX_ROW_BYTES + b'"}}', f"is longer than {MAX_ROW_BYTES} bytes"),
        (b'{"a": 1' + b"0" * 5000 + b"}", "is not supported JSON"),
    ],
    ids=["deep", "too deep", "many", "too many", "too many lists", "long", "too long", "a number"],
)
def test_a_row_is_bounded(tmp_path: Path, row: bytes, said: str | None):
    found = inspected(tmp_path, b'{"a": 1}', row, b'{"a": 1}')
    if said is None:
        assert (found.problems, found.num_rows) == ((), 3)
    else:
        [problem] = found.problems
        assert problem.startswith("line 2 ")
        assert said in problem


def test_a_row_of_parquet_has_the_same_bounds(tmp_path: Path):
    path = tmp_path / "rows.parquet"
    rows = [[1], [1] * MAX_ROW_ITEMS, ["x" * MAX_ROW_BYTES]]
    found = []
    for value in rows:
        parquet.write_table(arrow.table({"a": [value]}), path)
        found.append(inspect(str(path)).problems)
    assert found == [
        (),
        (f"row 1 has more than {MAX_ROW_ITEMS} values",),
        (f"row 1 is longer than {MAX_ROW_BYTES} bytes of JSON",),
    ]


def test_fields_are_counted_and_reported_with_their_first_unusable_row(tmp_path: Path):
    wide = json.dumps({f"f{n}": "ä" for n in range(MAX_FIELDS)}).encode()
    found = inspected(tmp_path, wide, wide, b'{"f1": null, "f2": 1.5}')
    assert found.fields["f1"] == ("line 3: field 'f1' is null")
    assert found.fields["f2"] is None
    assert found.fields["f3"] == "line 3 has no field 'f3'; it has 'f1', 'f2'"
    [problem] = inspected(tmp_path, wide, b'{"one": 1}').problems
    assert problem == f"line 2 brings the number of fields above {MAX_FIELDS}"


@settings(max_examples=50)
@given(ROWS)
def test_first_rows_are_kept_as_they_were_read(rows: list[dict]):
    read = [Row(number, fields) for number, fields in enumerate(rows, 1)]
    assert rows_of_head(head_of(read)) == (read if rows else [])


def test_the_first_rows_keep_non_json_values_and_leave_out_large_rows(tmp_path: Path):
    large = b'{"a": "' + b"x" * HEAD_BYTES + b'"}'
    found = inspected(tmp_path, b'{"a": "\\ud83d\\u0000"}', large, b'{"a": 1e999}')
    assert found.num_rows == 3
    assert rows_of_head(found.head) == [
        Row(1, {"a": "\ud83d\0"}),
        Row(3, {"a": float("inf")}),
    ]
    assert len(inspected(tmp_path, *[b'{"a": "' + b"x" * 60_000 + b'"}'] * 9).head) <= HEAD_BYTES


def test_a_decompression_bomb_is_refused(tmp_path: Path):
    """Equal rows are stored once in a Parquet file, and zeros compress to almost nothing."""
    equal, page = tmp_path / "equal", tmp_path / "page"
    rows = arrow.DictionaryArray.from_arrays(arrow.array([0] * 100, "int32"), ["x" * 2**19])
    parquet.write_table(arrow.table({"question": rows}), equal)
    zeros = arrow.table({"question": ["0" * 2**28]})
    parquet.write_table(
        zeros, page, use_dictionary=False, write_statistics=False, compression="zstd"
    )
    assert max(equal.stat().st_size, page.stat().st_size) < 100_000
    assert inspect(str(equal), 2**24).problems == (
        "the Parquet file decompresses to more than 16777216 bytes",
    )
    [problem] = call_bounded(inspect, str(page), seconds=60, memory_bytes=2**29).problems
    assert problem.startswith("the Parquet file needs too much memory to decompress")


def test_an_inspection_ends_at_its_limits(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a":1}\n' * 2_000_000)
    with pytest.raises(OutOfTime):
        call_bounded(inspect, str(path), seconds=0.1, memory_bytes=2**30)
    with pytest.raises(OutOfMemory):
        call_bounded(bytearray, 2**31, seconds=60, memory_bytes=2**30)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv", "rows.parquet"])
def test_the_rows_read_so_far_are_counted_by_the_thousand(tmp_path: Path, name: str):
    rows = [{"question": f"{number}+1=", "answer": str(number + 1)} for number in range(2_500)]
    path = tmp_path / name
    match path.suffix:
        case ".jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        case ".csv":
            lines = [",".join(row.values()) for row in rows]
            path.write_text("\n".join(["question,answer", *lines]) + "\n")
        case _:
            parquet.write_table(arrow.Table.from_pylist(rows), path)
    with NamedTemporaryFile(dir=tmp_path) as counter:
        assert read_counter(counter) == 0
        found = inspect_counting(str(path), counter.name)
        assert (found.num_rows, read_counter(counter)) == (2_500, 2_000)


@pytest.mark.parametrize("counter", ["/nowhere/counter", "/", "/dev/full"])
def test_a_counter_that_cannot_be_written_fails_no_file(tmp_path: Path, counter: str):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n' * 2500)
    assert inspect_counting(str(path), counter).num_rows == 2500
