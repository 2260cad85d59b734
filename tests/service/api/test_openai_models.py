"""OpenAI's models: built-in ones and checkpoints, by OpenAI's own client."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import openai
import pytest
from openai import OpenAI

from store.ids import encode
from tests.service.api.hand import Hand


@pytest.fixture
def theirs(url: str, key: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{url}/openai/v1", api_key=key, max_retries=0) as client:
        yield client


@pytest.fixture
def trained(http: httpx.Client, claims: Callable[[], Hand], tmp_path: Path) -> str:
    """Id of the final checkpoint of a succeeded job."""
    http.post("/v1/jobs", json={"preset": "demo"}).raise_for_status()
    hand = claims()
    checkpoint = hand.checkpoint(1, {"model.safetensors": b"weights"}, tmp_path / "folder")
    hand.finish()
    return encode("ckpt", checkpoint)


def test_models_are_the_built_in_ones_and_final_checkpoints(theirs: OpenAI, trained: str):
    listed = {model.id: model for model in theirs.models.list()}
    assert list(listed) == ["tiny-arithmetic", trained]
    assert theirs.models.retrieve(trained) == listed[trained]
    assert theirs.models.retrieve("tiny-arithmetic").owned_by == "duet"
    assert listed[trained].created > 1_700_000_000
    (job,) = theirs.fine_tuning.jobs.list()
    assert job.fine_tuned_model == trained


def test_a_checkpoint_is_deleted_and_a_built_in_model_is_not(
    theirs: OpenAI, http: httpx.Client, trained: str
):
    assert theirs.models.delete(trained).deleted
    assert http.get(f"/v1/checkpoints/{trained}").status_code == 404
    assert [model.id for model in theirs.models.list()] == ["tiny-arithmetic"]
    for name in (trained, "nothing", "ckpt_x", "owner%2Fname"):
        with pytest.raises(openai.NotFoundError):
            theirs.models.retrieve(name)
    with pytest.raises(openai.ConflictError, match="built-in"):
        theirs.models.delete("tiny-arithmetic")


def test_another_projects_checkpoints_are_neither_listed_nor_deleted(
    url: str, their_http: httpx.Client, trained: str
):
    their_key = their_http.headers["authorization"].removeprefix("Bearer ")
    with OpenAI(base_url=f"{url}/openai/v1", api_key=their_key, max_retries=0) as client:
        assert [model.id for model in client.models.list()] == ["tiny-arithmetic"]
        for call in (client.models.retrieve, client.models.delete):
            with pytest.raises(openai.NotFoundError):
                call(trained)
