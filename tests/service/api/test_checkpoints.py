"""Checkpoints over HTTP: listed with their hashes, downloaded whole or in part."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from sqlalchemy import update

from store.database.database import Database
from store.ids import encode
from store.tables import Checkpoint
from tests.service.api.hand import Hand
from tests.service.api.test_jobs import submit

WEIGHTS = bytes(range(256)) * 1000
FILES = {"model.safetensors": WEIGHTS, "deep/wörter 词.txt": b"tokens"}
Claims = Callable[[], Hand]


@pytest.fixture
def checkpoint(http: httpx.Client, claims: Claims, tmp_path: Path) -> dict:
    """Return the checkpoint as listed."""
    job = submit(http)["id"]
    hand = claims()
    hand.step(1)
    hand.checkpoint(1, FILES, tmp_path / "checkpoint")
    [listed] = http.get(f"/v1/jobs/{job}/checkpoints").json()["data"]
    assert (listed["job"], listed["step"], listed["final"]) == (job, 1, True)
    assert listed["bytes"] == sum(map(len, FILES.values()))
    return listed


def test_pages_go_by_attempt_and_step_whatever_a_workers_clock_made_of_the_ids(
    http: httpx.Client, claims: Claims, tmp_path: Path, database: Database
):
    job = submit(http)["id"]
    hand = claims()
    for step in (1, 2):
        hand.step(step)
        hand.checkpoint(step, FILES, tmp_path / f"step-{step}")
    with database.session() as session:
        session.execute(update(Checkpoint).where(Checkpoint.step == 2).values(id=UUID(int=1)))
    url = f"/v1/jobs/{job}/checkpoints"
    first = http.get(url, params={"limit": 1})
    second = http.get(first.links["next"]["url"])
    assert [page.json()["data"][0]["step"] for page in (first, second)] == [1, 2]
    assert second.json()["next"] is None
    assert http.get(url, params={"after": "ckpt_1"}).status_code == 422


def test_a_checkpoint_lists_its_files_with_their_hashes(http: httpx.Client, checkpoint: dict):
    seen = http.get(f"/v1/checkpoints/{checkpoint['id']}").json()
    assert seen | checkpoint == seen
    assert seen["version"] == 1
    assert {file["path"]: file["sha256"] for file in seen["files"]} == {
        path: hashlib.sha256(content).hexdigest() for path, content in FILES.items()
    }


@pytest.mark.parametrize("path", FILES)
def test_a_file_is_downloaded_with_its_hash_as_etag(
    http: httpx.Client, checkpoint: dict, path: str
):
    url = f"/v1/checkpoints/{checkpoint['id']}/files/{path}"
    answer = http.get(url)
    assert answer.content == FILES[path]
    etag = f'"{hashlib.sha256(FILES[path]).hexdigest()}"'
    assert answer.headers["etag"] == etag
    assert answer.headers["content-type"] == "application/octet-stream"
    assert http.get(url, headers={"If-None-Match": etag}).status_code == 304
    head = http.head(url)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(FILES[path]))


def test_a_broken_download_is_continued(http: httpx.Client, checkpoint: dict):
    url = f"/v1/checkpoints/{checkpoint['id']}/files/model.safetensors"
    etag = http.head(url).headers["etag"]
    part = http.get(url, headers={"Range": "bytes=1000-1999", "If-Range": etag})
    assert part.status_code == 206
    assert part.content == WEIGHTS[1000:2000]
    assert part.headers["content-range"] == f"bytes 1000-1999/{len(WEIGHTS)}"
    rest = http.get(url, headers={"Range": f"bytes={len(WEIGHTS) - 5}-"})
    assert rest.content == WEIGHTS[-5:]
    other = http.get(url, headers={"Range": "bytes=1000-1999", "If-Range": '"another"'})
    assert (other.status_code, other.content) == (200, WEIGHTS)
    beyond = http.get(url, headers={"Range": f"bytes={len(WEIGHTS)}-"})
    assert beyond.status_code == 416


@pytest.mark.parametrize(
    "path",
    [
        "nothing",
        "../log.txt",
        "%2e%2e/log.txt",
        "deep/%2e%2e/model.safetensors",
        "/etc/passwd",
        "%00",
    ],
)
def test_only_files_of_the_list_can_be_read(http: httpx.Client, checkpoint: dict, path: str):
    answer = http.get(f"/v1/checkpoints/{checkpoint['id']}/files/{path}")
    assert answer.status_code == 404


def test_another_projects_checkpoint_is_not_there(
    http: httpx.Client, their_http: httpx.Client, checkpoint: dict
):
    base = f"/v1/checkpoints/{checkpoint['id']}"
    assert their_http.get(base).status_code == 404
    assert their_http.get(f"{base}/files/model.safetensors").status_code == 404
    source = {"model": {"source": checkpoint["id"]}}
    assert http.post("/v1/jobs", json=source).status_code == 201
    assert their_http.post("/v1/jobs", json=source).status_code == 422


def test_a_checkpoints_config_of_any_size_or_depth_is_read_within_a_limit(
    http: httpx.Client, claims: Callable[[], Hand], tmp_path: Path
):
    """The trainer copies the config of a model of the hub, whose author chose its fields."""
    stated = b'{"max_position_embeddings": 9}'
    configs = [stated, stated + b" " * 2**20, b"[" * 200_000, stated[:-1] + b", " * 9, b"[9]"]
    submit(http)
    hand = claims()
    refused = []
    for step, config in enumerate(configs, start=1):
        hand.step(step)
        made = hand.checkpoint(step, {"config.json": config}, tmp_path / str(step))
        spec = {"model": {"source": encode("ckpt", made)}}
        refused.append(http.post("/v1/estimates", json={"spec": spec}).status_code == 422)
    assert refused == [True, False, False, False, False]  # an unknown context refuses nothing
