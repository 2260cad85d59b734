"""OpenAI's own client, as installed, against a live server."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from grpo.spec.resolve import resolve
from store.jobs.outcomes import Failed
from tests.service.api.hand import Hand
from tests.service.api.openai_calls import ROWS, SMALL, STRING_CHECK, create, spec_of, upload


def test_files_come_and_go(theirs: OpenAI):
    ids = [upload(theirs, ROWS, f"{n}.jsonl") for n in range(3)]
    assert [file.filename for file in theirs.files.list()] == ["2.jsonl", "1.jsonl", "0.jsonl"]
    assert [file.id for file in theirs.files.list(limit=1)] == ids[::-1]  # page by page
    assert list(theirs.files.list(purpose="batch")) == []
    file = theirs.files.retrieve(ids[0])
    assert (file.object, file.purpose, file.status) == ("file", "fine-tune", "processed")
    content = theirs.files.content(ids[0]).read()
    assert len(content) == file.bytes
    assert [json.loads(line) for line in content.splitlines()] == ROWS
    assert theirs.files.delete(ids[0]).deleted
    with pytest.raises(openai.NotFoundError):
        theirs.files.retrieve(ids[0])


def test_a_file_that_is_not_for_training_or_not_jsonl_is_refused(theirs: OpenAI):
    with pytest.raises(openai.BadRequestError) as caught:
        theirs.files.create(file=("a.jsonl", b"{}\n"), purpose="vision")
    assert (caught.value.param, caught.value.code) == ("purpose", "invalid_purpose")
    with pytest.raises(openai.BadRequestError, match="line 2"):
        theirs.files.create(file=("a.jsonl", b'{"a": 1}\nno\n'), purpose="fine-tune")


def test_a_job_is_created_with_the_spec_that_its_fields_mean(theirs: OpenAI, http: httpx.Client):
    train, held_out = upload(theirs, ROWS), upload(theirs, ROWS)
    hyperparameters = {"n_epochs": 3, "batch_size": 8, "eval_samples": 2, "eval_interval": "auto"}
    method = {
        "type": "reinforcement",
        "reinforcement": {"grader": STRING_CHECK, "hyperparameters": hyperparameters},
    }
    job = theirs.fine_tuning.jobs.create(
        model="tiny-arithmetic",
        training_file=train,
        validation_file=held_out,
        suffix="sums",
        seed=7,
        metadata={"team": "a", "note": ""},
        method=method,  # pyright: ignore[reportArgumentType]
        extra_body={"duet": {"algorithm": {"group_size": 4}}},
    )
    assert (job.object, job.status, job.model) == ("fine_tuning.job", "queued", "tiny-arithmetic")
    assert (job.training_file, job.validation_file, job.seed) == (train, held_out, 7)
    assert job.metadata == {"team": "a", "note": ""}
    assert job.method is not None
    assert job.method.reinforcement is not None
    assert job.method.reinforcement.grader.to_dict() == {**STRING_CHECK, "name": "right_answer"}
    assert (job.fine_tuned_model, job.finished_at, job.error) == (None, None, None)

    spec = spec_of(http, job.id)
    assert (spec["name"], spec["seed"], spec["budget"]["epochs"]) == ("sums", 7, 3)
    assert spec["algorithm"]["group_size"] == 4
    assert spec["algorithm"]["prompts_per_step"] == 8
    assert spec["evaluation"]["samples"] == 2
    assert spec["data"]["prompt"] == "{{prompt}}"
    assert spec["data"]["answer"] == "{{answer}}"
    assert theirs.fine_tuning.jobs.retrieve(job.id) == job


def test_the_learning_rate_is_multiplied(theirs: OpenAI, http: httpx.Client):
    file = upload(theirs, ROWS)
    plain = rate_of(spec_of(http, create(theirs, file).id))
    faster = {
        "type": "reinforcement",
        "reinforcement": {
            "grader": STRING_CHECK,
            "hyperparameters": {"learning_rate_multiplier": 0.5},
        },
    }
    job = theirs.fine_tuning.jobs.create(
        model="tiny-arithmetic",
        training_file=file,
        method=faster,  # pyright: ignore[reportArgumentType]
        extra_body=SMALL,
    )
    assert rate_of(spec_of(http, job.id)) == pytest.approx(plain / 2)


def rate_of(spec: dict[str, Any]) -> float:
    resolved = resolve(spec)
    return resolved.optimizer.peak(resolved.algorithm.prompts_per_update)


def test_lists_are_paged_and_filtered_by_metadata(theirs: OpenAI):
    file = upload(theirs, ROWS)
    ids = [create(theirs, file, metadata={"n": str(n % 2), "all": "x"}).id for n in range(5)]
    assert [job.id for job in theirs.fine_tuning.jobs.list(limit=2)] == ids[::-1]
    even = theirs.fine_tuning.jobs.list(extra_query={"metadata[n]": "0", "metadata[all]": "x"})
    assert [job.id for job in even] == [ids[4], ids[2], ids[0]]
    assert list(theirs.fine_tuning.jobs.list(extra_query={"metadata": "null"})) == []
    bare = create(theirs, file)
    assert bare.metadata is None
    assert list(theirs.fine_tuning.jobs.list(extra_query={"metadata": "null"})) == [bare]
    with pytest.raises(openai.BadRequestError):
        theirs.fine_tuning.jobs.list(extra_query={"metadata": "null", "metadata[n]": "0"})


def test_a_job_is_held_continued_and_cancelled(theirs: OpenAI):
    job = create(theirs, upload(theirs, ROWS)).id
    jobs = theirs.fine_tuning.jobs
    assert jobs.pause(job).status == "paused"
    assert jobs.resume(job).status == "queued"
    assert jobs.cancel(job).status == "cancelled"
    with pytest.raises(openai.ConflictError) as caught:
        jobs.resume(job)
    assert caught.value.response.headers["x-should-retry"] == "false"
    messages = [event.message for event in jobs.list_events(job, limit=2)]
    assert [message.partition(":")[0] for message in messages] == [
        "The job is cancelled",
        "The job is queued",
        "The job is paused",
        "The job is queued",
    ]


def test_events_and_checkpoints_of_a_run(
    theirs: OpenAI, http: httpx.Client, claims: Callable[[], Hand], tmp_path: Path
):
    jobs = theirs.fine_tuning.jobs
    job = create(theirs, upload(theirs, ROWS)).id
    hand = claims()
    assert jobs.retrieve(job).status == "running"
    for step in (1, 2, 3):
        hand.step(step, num_tokens=100 * step)
    weights = b"weights"
    hand.checkpoint(3, {"model.safetensors": weights}, tmp_path / "checkpoint")
    hand.finish()

    done = jobs.retrieve(job)
    assert (done.status, done.trained_tokens) == ("succeeded", 300)
    assert done.finished_at is not None
    (checkpoint,) = jobs.checkpoints.list(job)
    assert (checkpoint.step_number, checkpoint.fine_tuning_job_id) == (3, job)
    assert done.fine_tuned_model == checkpoint.fine_tuned_model_checkpoint
    stored = http.get(f"/v1/checkpoints/{checkpoint.id}/files/model.safetensors")
    assert stored.content == weights

    events = list(jobs.list_events(job, limit=2))
    assert [event.message for event in events if event.type == "metrics"] == [
        f"Step {step}: reward 0.5" for step in (3, 2, 1)
    ]
    assert events[0].message.startswith("The job is succeeded")
    assert events[-1].message == "The job is queued: submitted"
    assert len({event.id for event in events}) == len(events)


def test_a_failed_job_shows_the_reason(theirs: OpenAI, claims: Callable[[], Hand]):
    job = create(theirs, upload(theirs, ROWS)).id
    error = {"code": "nan_loss", "message": "the loss is not finite", "hint": "lower the rate"}
    claims().finish(Failed(error, retryable=False))
    failed = theirs.fine_tuning.jobs.retrieve(job)
    assert failed.status == "failed"
    assert failed.error is not None
    assert (failed.error.code, failed.error.message) == ("nan_loss", "the loss is not finite")
    (last,) = theirs.fine_tuning.jobs.list_events(job, limit=1).data
    assert (last.level, last.message) == ("error", "The job is failed: the loss is not finite")


@pytest.mark.parametrize(
    ("changed", "param", "said"),
    [
        ({"model": "nothing"}, "model", "unknown built-in model"),
        ({"training_file": "file_1"}, "training_file", "upload it first"),
        ({"validation_file": "file_1"}, "validation_file", "upload it first"),
        ({"method": {"type": "dpo"}}, "method.type", "reinforcement"),
        ({"extra_body": {"duet": {"rollout": {"top_p": 0.5}}}}, "duet.rollout.top_p", "must be 1"),
        ({"extra_body": {"duett": {}}}, "duett", "unknown field"),
        ({"seed": -1}, "seed", "at least"),
    ],
)
def test_errors_name_the_parameter_as_sent(
    theirs: OpenAI, changed: dict[str, Any], param: str, said: str
):
    method = {"type": "reinforcement", "reinforcement": {"grader": STRING_CHECK}}
    right = {"model": "tiny-arithmetic", "training_file": upload(theirs, ROWS), "method": method}
    with pytest.raises(openai.BadRequestError) as caught:
        theirs.fine_tuning.jobs.create(**{**right, **changed})
    assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"
    assert said in caught.value.message


def test_keys_scopes_and_other_projects(
    url: str, theirs: OpenAI, their_http: httpx.Client, reading_http: httpx.Client
):
    job = create(theirs, upload(theirs, ROWS)).id
    path = f"/openai/v1/fine_tuning/jobs/{job}"
    answer = their_http.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert reading_http.get(path).is_success
    answer = reading_http.post(f"{path}/cancel")
    assert (answer.status_code, answer.json()["error"]["type"]) == (403, "permission_error")
    with OpenAI(base_url=f"{url}/openai/v1", api_key="duet_none", max_retries=0) as nobody:
        with pytest.raises(openai.AuthenticationError) as caught:
            nobody.fine_tuning.jobs.list()
        assert caught.value.request_id


def test_a_repeated_request_makes_no_second_job_and_a_new_one_does(
    http: httpx.Client, theirs: OpenAI
):
    method = {"type": "reinforcement", "reinforcement": {"grader": STRING_CHECK}}
    body = {"model": "tiny-arithmetic", "training_file": upload(theirs, ROWS), "method": method}

    def sent(**headers: str) -> dict[str, Any]:
        answer = http.post("/openai/v1/fine_tuning/jobs", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    first = sent(**{"x-stainless-retry-count": "0"})
    assert sent(**{"x-stainless-retry-count": "1"}) == first
    assert sent(**{"x-stainless-retry-count": "2"}) == first
    second = sent(**{"x-stainless-retry-count": "0"})
    assert second["id"] != first["id"]
    assert sent(**{"x-stainless-retry-count": "1"}) == second
    given = sent(**{"Idempotency-Key": "mine"})
    assert given["id"] not in (first["id"], second["id"])
    assert sent(**{"Idempotency-Key": "mine"}) == given
    assert len(http.get("/v1/jobs").json()["data"]) == 3
