import pickle
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpo.data.files import read_rows
from grpo.data.inspection import head_of, rows_of_head
from grpo.data.jsonl import parse_line
from grpo.data.rows import Row, RowError, render
from grpo.rewards.reward import Case
from grpo.rewards.template import fill
from grpo.values.template import field_names
from grpo.values.written_number import Precision, shortest


def write(folder: Path, content: bytes) -> Path:
    path = folder / "data.jsonl"
    path.write_bytes(content)
    return path


def test_rows_carry_their_line_numbers_and_blank_lines_are_counted(tmp_path: Path):
    path = write(tmp_path, b'{"a": 1}\n\n   \r\n{"a": 2}\r\n{"a": 3}')
    assert list(read_rows(path)) == [Row(1, {"a": 1}), Row(4, {"a": 2}), Row(5, {"a": 3})]


def test_a_byte_order_mark_is_not_part_of_the_first_line(tmp_path: Path):
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
        (b'{"a": "\xff"}', "line 17 is not UTF-8: byte 8 is invalid"),
        ('{"a": 1}'.encode("utf-16"), "line 17 is not UTF-8"),
        (b'{"a": NaN}', "line 17 is not supported JSON: NaN is not valid JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "line 17 is not supported JSON"),
        (b"[" * 100_000, "line 17 is not supported JSON"),
        (b'{"a": 1} {"a": 2}', "line 17 is not JSON: Extra data"),
        (b'\xef\xbb\xbf{"a": 1}', "line 17 is not JSON"),
    ],
)
def test_a_line_that_is_not_a_json_object_is_named(line: bytes, complaint: str):
    with pytest.raises(RowError, match=complaint):
        parse_line(line, 17)


def test_a_template_takes_strings_and_numbers_from_the_row():
    row = Row(3, {"question": "2+2", "first name": "Zoë", "n": 4, "x": 0.5, "nul": "a\x00b"})
    assert render("Q: {{question}} {{ first name }}", row) == "Q: 2+2 Zoë"
    assert render("{{n}}/{{ x }}", row) == "4/0.5"
    assert render("{{nul}}", row) == "a\x00b"
    assert render("{n} {{}} { {n} }", row) == "{n} {{}} { {n} }"


def test_a_fields_content_is_not_filled_again():
    assert render("{{a}}", Row(1, {"a": "{{b}}", "b": "no"})) == "{{b}}"


def test_a_template_names_its_fields_once_each_in_order():
    assert field_names("{{b}} {{ a }} {{b}}") == ("b", "a")
    assert field_names("no fields") == ()


def test_a_missing_field_is_named_with_the_available_ones():
    row = Row(17, {"prompt": "x", "answer": "y"})
    with pytest.raises(
        RowError, match="line 17 has no field 'question'; it has 'prompt', 'answer'"
    ):
        render("{{question}}", row)


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (None, "is null"),
        ("\ud800", "holds an unpaired surrogate"),
        (float("nan"), "is not a finite number"),
    ],
)
def test_a_value_that_is_not_text_is_refused_with_line_and_field(value: object, complaint: str):
    with pytest.raises(RowError, match=f"line 5: field 'a' {complaint}"):
        render("{{a}}", Row(5, {"a": value}))


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b'{"a": 0.00001}', "0.00001"),
        (b'{"a": 1e16}', "1e16"),
        (b'{"a": 1.50}', "1.50"),
        (b'{"a": 1E+5}', "1E+5"),
        (b'{"a": 0.1000000000000000055511151231257827}', "0.1000000000000000055511151231257827"),
        (b'{"a": 12345678901234567890123}', "12345678901234567890123"),
        (b'{"a": true}', "true"),
        (b'{"a": [1.50, "x", null]}', '[1.50, "x", null]'),
        (b'{"a": {"b": 1.0}}', '{"b": 1.0}'),
        ('{"a": ["é"]}'.encode(), '["é"]'),
    ],
)
def test_a_value_is_inserted_as_written_in_the_file(line: bytes, text: str):
    assert render("{{a}}", parse_line(line, 1)) == text
    [kept] = rows_of_head(head_of([parse_line(line, 1)]))
    assert render("{{a}}", kept) == text
    assert render("{{a}}", pickle.loads(pickle.dumps(parse_line(line, 1)))) == text
    case = Case("", 0, "", parse_line(line, 1).fields)
    assert fill("{{item.a}}", case) == text


FINITE = {"allow_nan": False, "allow_infinity": False}
NUMBERS: dict[Precision, st.SearchStrategy[float]] = {
    "e": st.floats(width=16, **FINITE),
    "f": st.floats(width=32, **FINITE),
    "d": st.floats(width=64, **FINITE),
}


@pytest.mark.parametrize("precision", NUMBERS)
@given(data=st.data())
def test_the_shortest_digits_are_read_back(precision: Precision, data: st.DataObject):
    number = data.draw(NUMBERS[precision])
    text = shortest(number, precision)
    assert struct.pack(precision, float(text)) == struct.pack(precision, number)
    assert len(text) <= len(repr(number)) + 20


MEMBERS = {
    "reward_model": {"ground_truth": "34", "style": "rule"},
    "answers": ["1", ["2", 3.5]],
    "a.b": "dotted",
    "a": {"b": "nested", "c.d": "x"},
    "c[0]": "named so",
    "listed": '["\\\\frac{1}{2}", 0.50]',
    "prose": "[not JSON",
    "none": None,
}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("reward_model.ground_truth", "34"),
        ("answers.0", "1"),
        ("answers[0]", "1"),
        ("answers[1][0]", "2"),
        ("answers.-1.1", "3.5"),
        ("a.b", "dotted"),
        ("a.c.d", "x"),
        ("c[0]", "named so"),
        ("listed.0", r"\frac{1}{2}"),
        ("listed[1]", "0.50"),
    ],
)
def test_a_member_is_read_by_data_and_by_rewards_alike(path: str, text: str):
    assert render(f"<{{{{ {path} }}}}>", Row(1, MEMBERS)) == f"<{text}>"
    assert fill(f"<{{{{item.{path}}}}}>", Case("", 0, "", MEMBERS)) == f"<{text}>"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("reward_model.truth", "line 7: field 'reward_model': there is no 'truth'"),
        ("answers.2", "field 'answers': there is no '2'"),
        ("answers.x", "there is no 'x'"),
        ("prose.0", "there is no '0'"),
        ("none.a", "there is no 'a'"),
        ("none", "is null"),
        ("nothing.a", "line 7 has no field 'nothing.a'"),
        ("a" + ".a" * 100, "has no field|has more than|there is no"),
    ],
)
def test_a_path_that_does_not_exist_is_reported_with_its_row(path: str, said: str):
    with pytest.raises(RowError, match=said):
        render(f"{{{{{path}}}}}", Row(7, MEMBERS))
