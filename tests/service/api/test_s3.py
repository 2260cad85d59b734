"""Downloads from an artifact store on S3: redirected to a signed URL, or streamed."""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.errors.problems import ARTIFACTS_AWAY
from duet import Client
from store.artifacts.s3 import S3Artifacts
from store.database.database import Database
from store.settings import Settings
from tests.s3 import BUCKET, S3Server
from tests.service.api.conftest import client, serving
from tests.service.api.hand import Hand
from tests.service.api.test_exports import rolled_out_job
from tests.service.api.test_jobs import submit
from tests.waiting import deadline, wait_until

URL = f"s3://{BUCKET}/duet"
WEIGHTS = bytes(range(256)) * 1000
FILES = {"model.safetensors": WEIGHTS, "deep/wörter 词.txt": b"tokens", "config.json": b"{}"}


@pytest.fixture
def settings(settings: Settings, s3: S3Server) -> Settings:
    return settings.model_copy(update={"artifacts_url": URL})


@pytest.fixture
def artifacts() -> S3Artifacts:
    return S3Artifacts(URL, retry_seconds=1)


@pytest.fixture
def checkpoint(
    http: httpx.Client, database: Database, artifacts: S3Artifacts, tmp_path: Path
) -> dict[str, Any]:
    job = submit(http)["id"]
    hand = Hand.claims(database, artifacts)
    hand.step(1)
    hand.checkpoint(1, FILES, tmp_path / "checkpoint")
    [listed] = http.get(f"/v1/jobs/{job}/checkpoints").json()["data"]
    return listed


@contextmanager
def passing_through(settings: Settings, key: str) -> Iterator[httpx.Client]:
    changed = settings.model_copy(update={"redirect_downloads": False})
    with serving(changed) as url, client(url, key) as opened:
        yield opened


@pytest.mark.parametrize("path", FILES)
def test_a_file_is_downloaded_from_s3_itself(
    http: httpx.Client, checkpoint: dict[str, Any], path: str, s3: S3Server
):
    url = f"/v1/checkpoints/{checkpoint['id']}/files/{path}"
    answer = http.get(url)
    assert answer.status_code == 307
    assert answer.headers["location"].startswith(f"http://127.0.0.1:{s3.line.port}/{BUCKET}/duet/")
    assert answer.headers["cache-control"] == "no-store"
    followed = httpx.get(answer.headers["location"])
    assert (followed.status_code, followed.content) == (200, FILES[path])
    head = http.head(url, follow_redirects=True)
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(FILES[path])))
    etag = f'"{hashlib.sha256(FILES[path]).hexdigest()}"'
    assert http.get(url, headers={"If-None-Match": etag}).status_code == 304


def test_the_client_downloads_a_checkpoint_and_keeps_its_key_to_itself(
    url: str, key: str, checkpoint: dict[str, Any], tmp_path: Path
):
    with Client(url, key) as duet:
        duet.checkpoints.download(checkpoint["id"], tmp_path / "downloaded")
    for path, content in FILES.items():
        assert (tmp_path / "downloaded" / path).read_bytes() == content


def test_where_clients_cannot_reach_s3_files_pass_through(
    settings: Settings, key: str, checkpoint: dict[str, Any]
):
    with passing_through(settings, key) as http:
        url = f"/v1/checkpoints/{checkpoint['id']}/files/model.safetensors"
        whole = http.get(url)
        assert (whole.status_code, whole.content) == (200, WEIGHTS)
        etag = whole.headers["etag"]
        assert etag == f'"{hashlib.sha256(WEIGHTS).hexdigest()}"'
        head = http.head(url)
        assert (head.content, head.headers["content-length"]) == (b"", str(len(WEIGHTS)))
        part = http.get(url, headers={"Range": "bytes=1000-1999", "If-Range": etag})
        assert (part.status_code, part.content) == (206, WEIGHTS[1000:2000])
        assert part.headers["content-range"] == f"bytes 1000-1999/{len(WEIGHTS)}"
        assert http.get(url, headers={"Range": "bytes=-5"}).content == WEIGHTS[-5:]
        assert http.get(url, headers={"Range": "bytes=255995-"}).content == WEIGHTS[255995:]
        absurd = http.get(url, headers={"Range": f"bytes={'9' * 5000}-"})
        assert (absurd.status_code, absurd.content) == (200, WEIGHTS)
        other = http.get(url, headers={"Range": "bytes=1-2", "If-Range": '"another"'})
        assert (other.status_code, other.content) == (200, WEIGHTS)
        for beyond in (f"bytes={len(WEIGHTS)}-", "bytes=-0"):
            assert http.get(url, headers={"Range": beyond}).status_code == 416


def test_preference_pairs_are_read_from_s3(
    http: httpx.Client, database: Database, artifacts: S3Artifacts, tmp_path: Path
):
    job = rolled_out_job(http, lambda: Hand.claims(database, artifacts), tmp_path)
    pairs = http.get(f"/v1/jobs/{job}/pairs.jsonl").text.splitlines()
    assert [json.loads(pair)["step"] for pair in pairs] == [1, 2]


def test_the_archive_holds_every_file(
    http: httpx.Client, their_http: httpx.Client, checkpoint: dict[str, Any]
):
    url = f"/v1/checkpoints/{checkpoint['id']}/archive.tar"
    answer = http.get(url)
    assert answer.status_code == 200
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        found = {one.name: archive.extractfile(one) for one in archive}
        content = {name: file.read() for name, file in found.items() if file is not None}
    assert content == {f"{checkpoint['id']}/{path}": FILES[path] for path in FILES}
    assert their_http.get(url).status_code == 404


def test_an_archive_with_a_damaged_file_breaks_off(
    http: httpx.Client, checkpoint: dict[str, Any], s3: S3Server
):
    (stored,) = [key for key in s3.stored() if key.endswith("model.safetensors")]
    s3.client().put_object(Bucket=BUCKET, Key=stored, Body=b"\7" + WEIGHTS[1:])
    with pytest.raises(httpx.RemoteProtocolError):
        http.get(f"/v1/checkpoints/{checkpoint['id']}/archive.tar")


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_an_uploaded_file_is_previewed_used_and_deleted(
    http: httpx.Client, s3: S3Server, kind: str
):
    rows = [{"question": f"{n}+1=", "answer": str(n + 1)} for n in range(30)]
    made = http.post("/v1/files", files={"file": (f"rows.{kind}", _written(rows, kind))})
    assert made.status_code == 201
    file = made.json()["id"]
    assert s3.stored() == [f"duet/files/{file}"]
    assert http.get(f"/v1/files/{file}/preview").json()["data"] == rows[:10]
    content = http.get(f"/v1/files/{file}/content", follow_redirects=True)
    assert content.content == _written(rows, kind)
    spec = {"data": {"train": file, "answer_after": "1"}}
    assert http.post("/v1/jobs", json=spec).status_code == 422  # its rows were looked at
    assert http.delete(f"/v1/files/{file}").status_code == 204
    wait_until(lambda: not s3.stored())  # after the answer


def test_a_trainers_output_is_read_from_s3(
    http: httpx.Client, database: Database, artifacts: S3Artifacts, tmp_path: Path
):
    job = submit(http)["id"]
    hand = Hand.claims(database, artifacts)
    assert http.get(f"/v1/jobs/{job}/logs").text == ""
    printed = [f"line {number}" for number in range(50_000)]
    (tmp_path / "log.txt").write_text("\n".join(printed))
    artifacts.put_file(tmp_path / "log.txt", f"{hand.folder}/log.txt")
    assert http.get(f"/v1/jobs/{job}/logs").text == "\n".join(printed)
    assert http.get(f"/v1/jobs/{job}/logs?tail=3").text.splitlines() == printed[-3:]


def test_an_unavailable_store_is_reported_as_such(
    http: httpx.Client, checkpoint: dict[str, Any], s3: S3Server
):
    s3.line.cut()
    answer = http.post(
        "/v1/files", files={"file": ("rows.jsonl", b'{"a": 1}\n')}, timeout=deadline(60)
    )
    assert (answer.status_code, answer.json()["code"]) == (503, "artifact_unavailable")
    assert answer.json()["detail"] == ARTIFACTS_AWAY
    for place in (BUCKET, "127.0.0.1", str(s3.line.port)):
        assert place not in answer.text
    assert http.get(f"/v1/checkpoints/{checkpoint['id']}").status_code == 200


def _written(rows: list[dict[str, str]], kind: str) -> bytes:

    if kind == "jsonl":
        return "".join(json.dumps(row) + "\n" for row in rows).encode()
    import pyarrow as arrow
    from pyarrow import parquet

    out = io.BytesIO()
    parquet.write_table(arrow.Table.from_pylist(rows), out)
    return out.getvalue()
