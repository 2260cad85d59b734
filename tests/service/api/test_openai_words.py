"""Parameters of OpenAI's client: unknown, null and without effect are three cases."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI
from sqlalchemy import func, update

from store import files
from store.database.database import Database
from store.ids import decode
from store.tables import File
from tests.service.api.test_openai_client import ROWS, STRING_CHECK, create, spec_of, upload

PARTS = [
    {
        "messages": [
            {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
            {
                "role": "user",
                "content": [{"type": "text", "text": "2+"}, {"type": "input_text", "text": "3="}],
            },
        ],
        "answer": "5",
    }
]


def body(file: str, **more: Any) -> dict[str, Any]:
    method = {"type": "reinforcement", "reinforcement": {"grader": STRING_CHECK}}
    return {"model": "tiny-arithmetic", "training_file": file, "method": method, **more}


def test_developer_messages_and_text_parts_are_taken(theirs: OpenAI, http: httpx.Client):
    file = upload(theirs, PARTS)
    assert create(theirs, file).status == "queued"
    shown = http.post("/v1/datasets/preview", json={"train": file, "messages": "messages"}).json()
    assert shown["data"][0]["rows"][0]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "2+3="},
    ]
    pictured = [{"messages": [{"role": "user", "content": [{"type": "image_url"}]}], "answer": ""}]
    with pytest.raises(openai.BadRequestError, match="list of parts such as") as refused:
        create(theirs, upload(theirs, pictured))
    assert refused.value.param == "training_file"


ABSENT: list[dict[str, Any]] = [
    {"integrations": None},
    {"integrations": []},
    {"hyperparameters": None},
    {"hyperparameters": {}},
    {"hyperparameters": {"n_epochs": "auto"}},
    {"suffix": None, "seed": None, "metadata": None, "validation_file": None, "duet": None},
    {"method": {**body("")["method"], "supervised": None, "dpo": None}},
]
OFFERED = "this server trains by reinforcement"
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"integrations": [{"type": "wandb"}]}, "integrations", "not supported"),
    ({"hyperparameters": {"n_epochs": 3}}, "hyperparameters", "method.reinforcement"),
    ({"method": None}, "method", OFFERED),
    ({"method": {"type": "supervised", "supervised": {}}}, "method.type", OFFERED),
    ({"method": {"type": "dpo"}}, "method.type", OFFERED),
    (
        {"method": {"type": "supervised", "supervised": {"hyperparameters": None}}},
        "method.type",
        OFFERED,
    ),
    ({"unheard_of": None}, "unheard_of", "unknown field"),
    ({"training_file": "file_" + "0" * 32}, "training_file", "upload it first"),
    ({"validation_file": "file_" + "0" * 32}, "validation_file", "upload it first"),
    ({"model": "nothing"}, "model", "unknown built-in model"),
    ({"duet": {"algorithm": {"group_size": 1}}}, "duet.algorithm.group_size", "at least 2"),
]


def graded(**fields: Any) -> dict[str, Any]:
    return {"type": "reinforcement", "reinforcement": {"grader": STRING_CHECK, **fields}}


MULTI = {
    "type": "multi",
    "name": "both",
    "graders": {"right": STRING_CHECK, "near": {**STRING_CHECK, "reference": "{{item.nope}}"}},
    "calculate_output": "right + near",
}
IN_THE_METHOD: list[tuple[dict[str, Any], str, str]] = [
    (
        graded(grader={**STRING_CHECK, "reference": "{{item.nope}}"}),
        "method.reinforcement.grader.reference",
        "no row of training_file has the field 'nope'",
    ),
    (graded(grader=MULTI), "method.reinforcement.grader.graders.near.reference", "'nope'"),
    (
        graded(grader={**STRING_CHECK, "input": "{{sample.nope}}"}),
        "method.reinforcement.grader.input",
        "unknown name 'sample.nope'",
    ),
    (
        graded(grader={**STRING_CHECK, "operation": "near"}),
        "method.reinforcement.grader.operation",
        "must be",
    ),
    (
        graded(hyperparameters={"batch_size": 10**9}),
        "method.reinforcement.hyperparameters.batch_size",
        "must be at most",
    ),
    (graded(hyperparameters={"n_epochs": 0}), "method.reinforcement.hyperparameters.n_epochs", ""),
    (
        graded(response_format={"type": "json_schema", "json_schema": {"schema": {"type": 3}}}),
        "method.reinforcement.response_format",
        "not a valid JSON Schema",
    ),
]


def test_absent_null_and_empty_are_one_and_all_else_is_refused_by_its_own_name(
    theirs: OpenAI, http: httpx.Client
):
    file = upload(theirs, ROWS)

    def sent(**more: Any) -> httpx.Response:
        return http.post("/openai/v1/fine_tuning/jobs", json=body(file, **more))

    plain = spec_of(http, sent().json()["id"])
    for more in ABSENT:
        answer = sent(**more)
        assert answer.status_code == 200, (more, answer.text)
        assert spec_of(http, answer.json()["id"]) == plain
    cases = [*REFUSED, *(({"method": method}, *said) for method, *said in IN_THE_METHOD)]
    for more, param, said in cases:
        answer = sent(**more)
        assert answer.status_code == 400, (more, answer.text)
        error = answer.json()["error"]
        assert error["param"] == param, (more, error)
        assert said in error["message"], (more, error)
    absent = {"model": "tiny-arithmetic", "training_file": file}
    error = http.post("/openai/v1/fine_tuning/jobs", json=absent).json()["error"]
    assert (error["param"], OFFERED in error["message"]) == ("method", True)


JSON_CHECK = {**STRING_CHECK, "input": "{{sample.output_json.final.sum}}"}
SCHEMA = {
    "type": "object",
    "properties": {"final": {"type": "object", "required": ["sum"]}},
    "required": ["final"],
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}


def test_a_response_format_is_scored_and_shown(theirs: OpenAI, http: httpx.Client):
    file = upload(theirs, ROWS)
    both = {**MULTI, "graders": {"right": JSON_CHECK}, "calculate_output": "right + 1"}
    texts = ['{"final": {"sum": 2}}', '{"final": {"sum": 3}}', '{"final": {}}', "2", ""]
    for grader, scores in ((JSON_CHECK, [1, 0, 0, 0, 0]), (both, [2, 1, 0, 0, 0])):
        method = graded(grader=grader, response_format=FORMAT)
        job = http.post("/openai/v1/fine_tuning/jobs", json=body(file, method=method)).json()
        shown = job["method"]["reinforcement"]
        assert shown["response_format"]["json_schema"]["schema"] == SCHEMA
        assert shown["grader"]["type"] == grader["type"]
        assert shown["grader"].get("calculate_output") == grader.get("calculate_output")
        rewards = spec_of(http, job["id"])["rewards"]
        tried = http.post(
            "/v1/rewards/try",
            json={
                "rewards": rewards,
                "completions": [{"completion": text, "item": {"answer": "2"}} for text in texts],
            },
        ).json()["completions"]
        assert [each["total"] for each in tried] == scores
    for free in (None, {"type": "text"}):
        method = graded(response_format=free)
        job = http.post("/openai/v1/fine_tuning/jobs", json=body(file, method=method)).json()
        assert spec_of(http, job["id"])["rewards"][0]["type"] == "string_check"
    run = theirs.fine_tuning.alpha.graders.run(
        grader=JSON_CHECK,  # pyright: ignore[reportArgumentType]
        model_sample=texts[0],
        item={"answer": "2"},
    )
    assert (run.reward, run.metadata.errors.other_error) == (1.0, False)


def test_files_are_listed_in_the_requested_order(theirs: OpenAI):
    ids = [upload(theirs, ROWS, f"{n}.jsonl") for n in range(3)]
    assert [file.id for file in theirs.files.list(order="asc", limit=2)] == ids  # page by page
    assert [file.id for file in theirs.files.list(order="desc", limit=2)] == ids[::-1]
    with pytest.raises(openai.BadRequestError) as refused:
        list(theirs.files.list(order="size"))  # pyright: ignore[reportArgumentType]
    assert refused.value.param == "order"


def kept(client: OpenAI, seconds: int) -> Any:
    content = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
    after: Any = {"anchor": "created_at", "seconds": seconds}
    return client.files.create(file=("a.jsonl", content), purpose="fine-tune", expires_after=after)


@pytest.fixture
def over(database: Database) -> Callable[..., list[str]]:
    """Expire a file, then run the worker's clean-up."""

    def expire(*names: str) -> list[str]:
        with database.session() as session:
            ids = [decode("file", name) for name in names]
            past = func.now() - timedelta(seconds=1)
            session.execute(update(File).where(File.id.in_(ids)).values(expires_at=past))
        with database.session() as session:
            return [str(id) for id in files.expire(session, limit=10)]

    return expire


def test_a_file_expires_but_not_while_a_job_needs_it(
    theirs: OpenAI, over: Callable[..., list[str]]
):
    file, used = kept(theirs, 3600), kept(theirs, 2592000)
    assert file.expires_at - file.created_at in (3600, 3601)
    assert theirs.files.retrieve(upload(theirs, ROWS)).expires_at is None
    job = create(theirs, used.id)
    assert len(over(file.id, used.id)) == 1
    with pytest.raises(openai.NotFoundError):
        theirs.files.retrieve(file.id)
    assert theirs.files.retrieve(used.id).id == used.id
    theirs.fine_tuning.jobs.cancel(job.id)
    assert len(over(used.id)) == 1
    for seconds in (3599, 2592001, -5):
        with pytest.raises(openai.BadRequestError) as refused:
            kept(theirs, seconds)
        assert refused.value.param == "expires_after.seconds"
