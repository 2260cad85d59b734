from pathlib import Path

import pytest

from grpo.data.files import read_rows
from grpo.data.jsonl import parse_line
from grpo.data.rows import Row, RowError, render
from grpo.data.template import field_names


def write(folder: Path, content: bytes) -> Path:
    path = folder / "data.jsonl"
    path.write_bytes(content)
    return path


def test_rows_carry_their_line_numbers_and_blank_lines_are_counted(tmp_path: Path):
    path = write(tmp_path, b'{"a": 1}\n\n   \r\n{"a": 2}\r\n{"a": 3}')
    assert list(read_rows(path)) == [Row(1, {"a": 1}), Row(4, {"a": 2}), Row(5, {"a": 3})]


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path):
    path = write(tmp_path, b'\xef\xbb\xbf{"a": "\xc3\xa9"}\n')
    assert list(read_rows(path)) == [Row(1, {"a": "é"})]
    assert list(read_rows(write(tmp_path, b'\xef\xbb\xbf\n{"a": 1}'))) == [Row(2, {"a": 1})]


def test_a_line_separator_inside_a_string_does_not_end_the_line(tmp_path: Path):
    path = write(tmp_path, '{"a": "x\u2028y\u0085z"}\n'.encode())
    assert list(read_rows(path)) == [Row(1, {"a": "x\u2028y\u0085z"})]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b'{"a": 1,}', r"line 17 is not JSON: .* at character 9"),
        (b"oops", "line 17 is not JSON: Expecting value at character 1"),
        (b"[1]", "line 17 is not a JSON object"),
        (b"null", "line 17 is not a JSON object"),
        (b'{"a": "\xff"}', "line 17 is not UTF-8: byte 8 is wrong"),
        ('{"a": 1}'.encode("utf-16"), "line 17 is not UTF-8"),
        (b'{"a": NaN}', "line 17 is not JSON that can be read: JSON has no NaN"),
        (b'{"a": ' + b"9" * 5000 + b"}", "line 17 is not JSON that can be read"),
        (b"[" * 100_000, "line 17 is not JSON that can be read"),
        (b'{"a": 1} {"a": 2}', "line 17 is not JSON: Extra data"),
        (b'\xef\xbb\xbf{"a": 1}', "line 17 is not JSON"),
    ],
)
def test_a_line_that_is_no_json_object_is_named(line: bytes, complaint: str):
    with pytest.raises(RowError, match=complaint):
        parse_line(line, 17)


def test_a_template_takes_strings_and_numbers_from_the_row():
    row = Row(3, {"question": "2+2", "first name": "Zoë", "n": 4, "x": 0.5, "nul": "a\x00b"})
    assert render("Q: {{question}} {{ first name }}", row) == "Q: 2+2 Zoë"
    assert render("{{n}}/{{ x }}", row) == "4/0.5"
    assert render("{{nul}}", row) == "a\x00b"
    assert render("{n} {{}} { {n} }", row) == "{n} {{}} { {n} }"


def test_what_a_field_contains_is_not_a_template_again():
    assert render("{{a}}", Row(1, {"a": "{{b}}", "b": "no"})) == "{{b}}"


def test_a_template_names_its_fields_once_each_in_order():
    assert field_names("{{b}} {{ a }} {{b}}") == ("b", "a")
    assert field_names("no fields") == ()


def test_a_missing_field_is_named_with_those_there_are():
    row = Row(17, {"prompt": "x", "answer": "y"})
    with pytest.raises(
        RowError, match="line 17 has no field 'question'; it has 'prompt', 'answer'"
    ):
        render("{{question}}", row)


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (None, "must be a string or a number, not null"),
        (True, "must be a string or a number, not bool"),
        (["x"], "must be a string or a number, not list"),
        ("\ud800", "holds half of a surrogate pair"),
        (float("nan"), "is no finite number"),
    ],
)
def test_a_value_that_is_no_text_is_refused_by_line_and_field(value: object, complaint: str):
    with pytest.raises(RowError, match=f"line 5: field 'a' {complaint}"):
        render("{{a}}", Row(5, {"a": value}))
