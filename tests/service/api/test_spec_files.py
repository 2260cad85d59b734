"""`duet submit` sends the data files that lie beside a spec."""

from pathlib import Path

import httpx
import pyarrow as arrow
from pyarrow import parquet

from duet import Client
from duet.spec_file import with_uploads
from tests.service.api.test_files import lines


def test_files_of_lists_are_uploaded_once_each_and_named_by_their_ids(
    url: str, key: str, http: httpx.Client, tmp_path: Path
):
    (tmp_path / "sums.jsonl").write_bytes(lines({"question": "1+1", "answer": "2"}))
    parquet.write_table(arrow.table({"q": ["One?"], "a": [1]}), tmp_path / "tales.parquet")
    tales = {"source": "tales.parquet", "weight": 2, "prompt": "{{q}}", "answer": "{{a}}"}
    others = [{"source": "arithmetic"}, {"source": "openai/gsm8k"}, "nonsense", {"weight": 1}]
    spec = {
        "name": "mixed",
        "data": {"train": [tales, {"source": "sums.jsonl"}, *others], "eval": "sums.jsonl"},
    }
    with Client(url, key) as client:
        sent = with_uploads(client, spec, folder=tmp_path)
        assert with_uploads(client, {"name": "no data"}, folder=tmp_path) == {"name": "no data"}
    ids = {file["name"]: file["id"] for file in http.get("/v1/files").json()["data"]}
    assert set(ids) == {"sums.jsonl", "tales.parquet"}
    assert len(http.get("/v1/files").json()["data"]) == 2
    assert sent == {
        "name": "mixed",
        "data": {
            "train": [
                {**tales, "source": ids["tales.parquet"]},
                {"source": ids["sums.jsonl"]},
                *others,
            ],
            "eval": ids["sums.jsonl"],
        },
    }


def test_a_file_is_uploaded_once_however_often_its_spec_is_sent(
    url: str, key: str, http: httpx.Client, tmp_path: Path
):
    for folder, question in (("a", "1+1"), ("b", "1+2"), ("c", "1+1")):
        (tmp_path / folder).mkdir()
        content = lines({"question": question, "answer": "2"})
        (tmp_path / folder / f"{folder}.jsonl").write_bytes(content)

    def sent(client: Client, name: str) -> str:
        spec = {"data": {"train": f"{name}.jsonl"}}
        return with_uploads(client, spec, folder=tmp_path / name)["data"]["train"]

    with Client(url, key) as client:
        first = sent(client, "a")
        assert sent(client, "a") == first
        assert sent(client, "b") != first  # another content
        assert sent(client, "c") == first  # the same content under another name
        http.delete(f"/v1/files/{first}").raise_for_status()
        again = sent(client, "a")
    assert again != first
    listed = {file["id"] for file in http.get("/v1/files").json()["data"]}
    assert again in listed
    assert len(listed) == 2
