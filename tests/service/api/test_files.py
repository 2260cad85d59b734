"""Data files: uploaded, checked line by line, returned unchanged."""

import hashlib
import io
import json
import resource
import subprocess
import sys

import httpx
import pyarrow as arrow
import pytest
from pyarrow import parquet

from store.artifacts.folder import FolderArtifacts
from store.database.database import Database
from store.settings import Settings
from tests.service.api.conftest import client, serving
from worker.file_inspection import Inspecting

ROWS = [{"question": "1+1=", "answer": "2"}, {"question": "Wie viele Äpfel 🍎?", "answer": 3}]


def lines(*rows: object) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def upload(http: httpx.Client, content: bytes, name: str = "train.jsonl") -> httpx.Response:
    return http.post("/v1/files", files={"file": (name, content)})


def refusals(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == "invalid_file"
    assert {error["pointer"] for error in problem["errors"]} == {"/file"}
    return [error["detail"] for error in problem["errors"]]


def test_a_file_is_described_and_given_back_as_it_came(http: httpx.Client):
    content = lines(*ROWS)
    answer = upload(http, content, "Ünïcode 训练.jsonl")
    assert answer.status_code == 201
    file = answer.json()
    assert file["name"] == "Ünïcode 训练.jsonl"
    assert file["num_rows"] == 2
    assert file["bytes"] == len(content)
    assert file["sha256"] == hashlib.sha256(content).hexdigest()
    assert file["fields"] == [
        {"name": "answer", "problem": None},
        {"name": "question", "problem": None},
    ]
    assert answer.headers["location"] == f"/v1/files/{file['id']}"
    assert http.get(answer.headers["location"]).json() == file
    assert http.get("/v1/files").json()["data"] == [file]
    assert http.get(f"/v1/files/{file['id']}/preview").json() == {"data": ROWS}
    download = http.get(f"/v1/files/{file['id']}/content")
    assert download.content == content
    assert download.headers["etag"] == f'"{file["sha256"]}"'
    assert download.headers["content-disposition"].startswith("attachment")


def test_values_that_json_cannot_represent_are_shown_in_the_preview(http: httpx.Client):
    content = b'{"question": "\\u0000 \\ud83d", "answer": 1e999}\n'
    file = upload(http, content).json()
    problems = {field["name"]: field["problem"] for field in file["fields"]}
    assert problems["question"] == "line 1: field 'question' holds an unpaired surrogate"
    [row] = http.get(f"/v1/files/{file['id']}/preview").json()["data"]
    assert row["question"] == "␀ \\ud83d"
    assert row["answer"] is None
    assert http.get(f"/v1/files/{file['id']}/content").content == content


def test_a_byte_order_mark_blank_lines_and_a_missing_last_newline_are_accepted(http: httpx.Client):
    content = b"\xef\xbb\xbf" + lines(ROWS[0]) + b"\r\n\n" + lines(ROWS[1]).rstrip()
    assert upload(http, content).json()["num_rows"] == 2


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (b'{"question": "1+1="', "line 2 is not JSON"),
        (b'["1+1=", 2]', "line 2 is not a JSON object"),
        (b'{"question": "\xff"}', "line 2 is not UTF-8"),
        (b'{"question": NaN}', "line 2 is not supported JSON: NaN is not valid JSON"),
        (b'{"que\\u0000stion": 1}', "line 2 has a field named"),
        (b'{"\\ud83d": 1}', "line 2 has a field named"),
        (b"[" * 100_000, "line 2 is not supported JSON"),
        (b'{"question": "1", "answer": "2", "question": "3"}',
         "line 2 is not supported JSON: the field 'question' is given twice"),
        (b'{"talk": [{"role": "user", "role": "system"}]}',
         "line 2 is not supported JSON: the field 'role' is given twice"),
    ],
    ids=["cut short", "a list", "no utf-8", "NaN", "NUL", "surrogate", "too deep", "doubled",
         "doubled within"],
)  # fmt: skip
def test_a_line_that_is_not_a_json_object_is_named_by_its_number(
    http: httpx.Client, bad: bytes, said: str
):
    [detail] = refusals(upload(http, lines(ROWS[0]) + bad + b"\n" + lines(ROWS[1])))
    assert detail.startswith(said)
    assert http.get("/v1/files").json()["data"] == []


def test_up_to_ten_bad_lines_are_named(http: httpx.Client):
    details = refusals(upload(http, b"nothing\n" * 12))
    assert [detail.split()[1] for detail in details] == [str(n) for n in range(1, 11)]


def as_parquet(table: arrow.Table) -> bytes:
    content = io.BytesIO()
    parquet.write_table(table, content)
    return content.getvalue()


def test_parquet_is_described_and_given_back_as_it_came(http: httpx.Client):
    rows = [
        {"question": "1+1=", "answer": 2.0, "talk": [{"role": "user", "content": "Äpfel 🍎"}]},
        {"question": None, "answer": float("nan"), "talk": []},
    ]
    content = as_parquet(arrow.Table.from_pylist(rows))
    file = upload(http, content, "train.parquet").json()
    assert (file["num_rows"], file["bytes"]) == (2, len(content))
    assert file["sha256"] == hashlib.sha256(content).hexdigest()
    assert {field["name"]: field["problem"] for field in file["fields"]} == {
        "question": "row 2: field 'question' is null",
        "answer": "row 2: field 'answer' is not a finite number",
        "talk": None,
    }
    preview = http.get(f"/v1/files/{file['id']}/preview").json()["data"]
    assert preview[0] == rows[0]
    assert preview[1] == {"question": None, "answer": None, "talk": [], "nonfinite": ["answer"]}
    assert http.get(f"/v1/files/{file['id']}/content").content == content


def test_a_row_of_parquet_that_cannot_be_read_is_named(http: httpx.Client):
    offsets = arrow.py_buffer(bytes([0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0]))
    texts = arrow.StringArray.from_buffers(3, offsets, arrow.py_buffer(b"\xffa\xff"))
    assert refusals(upload(http, as_parquet(arrow.table({"question": texts})))) == [
        "row 1: field 'question' is not UTF-8: byte 1 is invalid",
        "row 3: field 'question' is not UTF-8: byte 1 is invalid",
    ]


def test_damaged_and_empty_parquet_is_refused(http: httpx.Client):
    whole = as_parquet(arrow.table({"question": ["1+1="]}))
    [detail] = refusals(upload(http, whole[:-9]))
    assert detail.startswith("the Parquet file cannot be read after row 0: ")
    [detail] = refusals(upload(http, as_parquet(arrow.table({"question": arrow.array([], "str")}))))
    assert detail.startswith("the file has no rows")


def test_parquet_is_read_without_numpy():
    """The API's image does not have it."""
    script = (
        "import io, sys; sys.modules['numpy'] = None\n"
        "import pyarrow as arrow; from pyarrow import parquet\n"
        "from grpo.data.files import rows_in\n"
        "source = io.BytesIO()\n"
        "parquet.write_table(arrow.table({'a': ['x'], 'b': [[1.5]]}), source)\n"
        "source.seek(0)\n"
        "assert [row.fields for row in rows_in(source)] == [{'a': 'x', 'b': [1.5]}]\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf\n"])
def test_a_file_without_rows_is_refused(http: httpx.Client, content: bytes):
    assert refusals(upload(http, content)) == ["the file has no rows: write JSONL, CSV or Parquet"]


def test_the_field_file_must_be_there(http: httpx.Client):
    assert refusals(http.post("/v1/files", files={"data": ("x", b"{}")}))
    assert http.post("/v1/files", content=b"{}").status_code == 415
    headers = {"content-type": "multipart/form-data"}
    assert http.post("/v1/files", content=b"{}", headers=headers).status_code == 400


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
def test_a_file_that_is_too_large_is_refused_before_it_is_taken_in(
    settings: Settings, key: str, announced: bool
):
    small = settings.model_copy(update={"max_upload_bytes": 10_000})
    body = httpx.Request("POST", "http://x", files={"file": ("x", lines(ROWS[0]) * 10_000)})
    content = body.read()
    with serving(small) as url, client(url, key) as http:
        answer = http.post(
            "/v1/files",
            content=content if announced else iter([content]),
            headers={"content-type": body.headers["content-type"]},
        )
        assert answer.status_code == 413
        assert answer.json()["code"] == "too_large"
        within = upload(http, lines(ROWS[0]) * 100)
        assert within.status_code == 201


def test_another_projects_file_is_not_there(http: httpx.Client, their_http: httpx.Client):
    file = upload(http, lines(*ROWS)).json()["id"]
    for path in (f"/v1/files/{file}", f"/v1/files/{file}/content", f"/v1/files/{file}/preview"):
        assert their_http.get(path).status_code == 404
    assert their_http.delete(f"/v1/files/{file}").status_code == 404
    assert their_http.get("/v1/files").json()["data"] == []


def test_a_file_is_deleted_once_no_live_job_uses_it(http: httpx.Client):
    file = upload(http, lines(*ROWS)).json()["id"]
    job = http.post("/v1/jobs", json={"data": {"train": file}}).json()["id"]
    refused = http.delete(f"/v1/files/{file}")
    assert refused.status_code == 409
    assert job in refused.json()["detail"]
    http.post(f"/v1/jobs/{job}/cancel")
    assert http.delete(f"/v1/files/{file}").status_code == 204
    assert http.get(f"/v1/files/{file}/content").status_code == 404


def test_files_come_in_pages_newest_first(http: httpx.Client):
    made = [upload(http, lines(row)).json()["id"] for row in ROWS * 2]
    found: list[str] = []
    path: str | None = "/v1/files?limit=3"
    while path:
        answer = http.get(path)
        found += [file["id"] for file in answer.json()["data"]]
        path = answer.links["next"]["url"] if "next" in answer.links else None
    assert found == made[::-1]


def test_rows_are_parsed_apart_from_the_process_that_answers(http: httpx.Client):
    """Two million bytes of the smallest rows, the most expensive to parse."""
    content = b'{"a":1}\n' * 250_000
    before = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    assert upload(http, content).json()["num_rows"] == 250_000
    after = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    own, childs = (a.ru_utime - b.ru_utime for a, b in zip(after, before, strict=True))
    assert own < childs / 2


def test_a_preview_reads_no_file(http: httpx.Client, artifacts: FolderArtifacts):
    large, small = {"question": "x" * 300_000}, {"question": "1+1="}
    file = upload(http, lines(large, small)).json()["id"]
    artifacts.delete(f"files/{file}")
    assert http.get(f"/v1/files/{file}/preview").json() == {"data": [small]}
    data = {"train": file, "prompt": "{{question}}", "answer": "{{question}}"}
    [source] = http.post("/v1/datasets/preview", json=data).json()["data"]
    assert [row["number"] for row in source["rows"]] == [2]


@pytest.mark.parametrize("good", [True, False], ids=["good", "bad"])
def test_a_large_file_is_checked_in_the_background(
    http: httpx.Client, database: Database, artifacts: FolderArtifacts, good: bool
):
    content = lines({"question": "x" * 1_000_000, "answer": "2"}) * 9 + (b"" if good else b"no\n")
    answer = upload(http, content)
    file = answer.json()
    assert (answer.status_code, file["status"]) == (201, "processing")
    assert (file["num_rows"], file["fields"]) == (None, [])
    for refused in (
        http.post("/v1/jobs", json={"data": {"train": file["id"]}}),
        http.post("/v1/jobs?validate_only=true", json={"data": {"train": file["id"]}}),
        http.get(f"/v1/files/{file['id']}/preview"),
    ):
        assert (refused.status_code, refused.json()["code"]) == (409, "file_processing")
        assert refused.headers["retry-after"] == "1"

    assert Inspecting(database, artifacts).inspect_next()

    checked = http.get(f"/v1/files/{file['id']}").json()
    answer = http.post("/v1/jobs", json={"data": {"train": file["id"]}})
    if good:
        assert (checked["status"], checked["num_rows"], checked["problems"]) == ("ready", 9, [])
        assert answer.status_code == 201, answer.text
    else:
        assert (checked["status"], checked["num_rows"]) == ("failed", None)
        assert checked["problems"] == ["line 10 is not JSON: Expecting value at character 1"]
        [error] = answer.json()["errors"]
        assert error["pointer"] == "/data/train"
        assert "line 10 is not JSON" in error["detail"]
