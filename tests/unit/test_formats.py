"""Detection of file formats by content: read, or refused with what to do."""

import gzip
import io
import re
from pathlib import Path

import pyarrow as arrow
import pytest
import zstandard
from pyarrow import parquet

from grpo.data.files import read_rows
from grpo.data.inspection import inspect
from grpo.data.packing import unpacked
from grpo.data.rows import RowError, render


def gzipped(content: bytes) -> bytes:
    """Compress to the same bytes in every process: test ids contain them."""
    return gzip.compress(content, mtime=0)


JSONL = b'{"q": "1+1=", "a": 2}\n{"q": "caf\xc3\xa9", "a": 3}\n'
CSV = b'q,a\r\n1+1=,2\r\n"a ""b"",\nc",3\r\n'


def table(**columns: object) -> bytes:
    file = io.BytesIO()
    parquet.write_table(arrow.table(columns), file)
    return file.getvalue()


@pytest.mark.parametrize("pack", [bytes, gzipped, zstandard.compress])
@pytest.mark.parametrize(
    ("content", "answers"),
    [
        (JSONL, ["2", "3"]),
        (CSV, ["2", "3"]),
        (b"\xef\xbb\xbf" + CSV, ["2", "3"]),
        (b"\xef\xbb\xbf" + JSONL, ["2", "3"]),
        (b"q,a\n1,007\n2,1.50", ["007", "1.50"]),
    ],
    ids=["jsonl", "csv", "csv with a mark", "jsonl with a mark", "csv keeps its spelling"],
)
def test_rows_are_read_compressed_or_not(tmp_path: Path, pack, content: bytes, answers: list[str]):  # noqa: ANN001
    path = tmp_path / "rows"
    path.write_bytes(pack(content))
    assert [render("{{a}}", row) for row in read_rows(path)] == answers
    found = inspect(str(path))
    assert (found.problems, found.num_rows, set(found.fields)) == ((), len(answers), {"q", "a"})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"a": 1}\n'.encode("utf-16"), "is in UTF-16: save it in UTF-8"),
        ('{"a": 1}\n'.encode("utf-16-le"), "is in UTF-16"),
        ("a,b\n1,2\n".encode("utf-16-be"), "is in UTF-16"),
        (b'[{"a": 1}, {"a": 2}]', "is one JSON array"),
        (b'\xef\xbb\xbf [\n {"a": 1}\n]', "is one JSON array"),
        ('{"a": 1}\n'.encode("utf-32"), "in UTF-32: save it in UTF-8"),
        (b'{\n  "a": 1\n}\n', "is JSON over several lines"),
        (b'{ \r\n  "a": 1\r\n}\r\n{\r\n}', "is JSON over several lines"),
        (b"q;a\nx;1,5\n", "values separated by semicolons"),
        (b"q\ta\nx\t1\ny\t2\n", "separated by tabs"),
        (b"\xef\xbb\xbfq\ta\nx\t1\n", "separated by tabs"),
        (b"q,a\nHello, world,1\n", "row 1 has 3 values for 2 fields"),
        (b"q,a\nx\n", "row 1 has 1 values for 2 fields"),
        (b"<!DOCTYPE html>\n<html></html>", "is a web page"),
        (b"\n<HTML><body>", "is a web page"),
        (b"7z\xbc\xaf\x27\x1c", "7z archive"),
        (b"\x04\x22\x4d\x18rest", "LZ4"),
        (b"\x93NUMPY\x01\0", "NumPy"),
        (gzipped(b"rows.jsonl" + bytes(247) + b"ustar\x00"), "tar archive"),
        (b"PK\x03\x04rest", "ZIP archive or an Excel"),
        (b"BZh91AY", "bzip2"),
        (b"\xfd7zXZ\x00rest", "xz"),
        (gzipped(b'[{"a": 1}]'), "is one JSON array"),
        (gzipped(gzipped(JSONL)), "unpack it once"),
        (gzipped(table(a=[1])), "unpack it once"),
        (gzipped(JSONL)[:-12], "the compressed file is damaged"),
        (zstandard.compress(JSONL * 1000)[:40], "line|damaged|no rows"),
        (b"\x1f\x8bnonsense", "the compressed file is damaged"),
        (b"\x28\xb5\x2f\xfdnonsense", "the compressed file is damaged"),
    ],
)
def test_other_kinds_are_named(tmp_path: Path, content: bytes, said: str):
    path = tmp_path / "rows"
    path.write_bytes(content)
    with pytest.raises(RowError, match=said):
        list(read_rows(path))
    [problem] = inspect(str(path)).problems
    assert re.search(said, problem)


@pytest.mark.parametrize("pack", [gzipped, zstandard.compress])
def test_an_endless_decompression_is_refused(pack):  # noqa: ANN001
    bomb = io.BytesIO(pack(b" " * 10_000_000))
    with pytest.raises(RowError, match="decompresses to more than 1000000 bytes"):
        unpacked(bomb, max_bytes=1_000_000).readlines()


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (arrow.array([0.3, 0.1], arrow.float32()), ["0.3", "0.1"]),
        (arrow.array([0.00001, 1e16, 18.0]), ["0.00001", "10000000000000000", "18"]),
        (
            arrow.array(["1.50", "0.00000001"]).cast(arrow.decimal128(12, 8)),
            ["1.50000000", "0.00000001"],
        ),
        (arrow.array([[0.3]], arrow.list_(arrow.float32())), ["[0.3]"]),
        (arrow.array([{"b": 0.3}], arrow.struct([("b", arrow.float32())])), ['{"b": 0.3}']),
        (
            arrow.array([[("k", 0.3)]], arrow.map_(arrow.string(), arrow.float32())),
            ['[["k", 0.3]]'],
        ),
        (
            arrow.array([[[0.1]]], arrow.list_(arrow.list_(arrow.float16()))),
            ["[[0.1]]"],
        ),
        (arrow.array([True, False]), ["true", "false"]),
    ],
)
def test_numbers_of_parquet_have_the_fewest_digits_of_their_type(
    tmp_path: Path, column: arrow.Array, texts: list[str]
):
    path = tmp_path / "rows"
    parquet.write_table(arrow.table({"a": column}), path)
    assert [render("{{a}}", row) for row in read_rows(path)] == texts


def test_data_as_verl_writes_it_is_read_by_its_members(tmp_path: Path):
    path = tmp_path / "rows"
    row = {
        "prompt": [{"role": "user", "content": "1+1="}],
        "reward_model": {"style": "rule", "ground_truth": "2"},
        "extra_info": {"index": 7},
    }
    parquet.write_table(arrow.Table.from_pylist([row]), path)
    [read] = read_rows(path)
    assert render("{{reward_model.ground_truth}} {{prompt.0.content}}", read) == "2 1+1="
