"""An invalid spec is refused at submission, with a pointer to the field."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from store.settings import Settings
from tests.service.api.conftest import client, serving
from tests.service.api.test_files import lines, upload


def refused(http: httpx.Client, spec: dict[str, Any]) -> dict[str, str]:
    """Return pointer -> detail; assert that nothing was stored."""
    answer = http.post("/v1/jobs", content=json.dumps(spec))
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == "invalid_spec"
    assert problem["type"] == "urn:duet:problem:invalid_spec"
    assert http.get("/v1/jobs").json()["data"] == []
    return {error["pointer"]: error["detail"] for error in problem["errors"]}


def validated(http: httpx.Client, spec: dict[str, Any]) -> dict[str, Any]:
    """Return the validation of a valid spec."""
    answer = http.post("/v1/jobs?validate_only=true", json=spec)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(
    ("spec", "pointer", "said"),
    [
        ({"algorithm": {"group_size": 1}}, "/algorithm/group_size", "2"),
        ({"rewards": [{"type": "maths"}]}, "/rewards/0/type", "maths"),
        ({"preset": "3-grpo"}, "/preset", "2-grpo"),
        ({"preset": ["2-grpo"]}, "/preset", ""),
        ({"data": {"train": "file_" + "0" * 32}}, "/data/train", "upload"),
        ({"data": {"train": "file_nonsense"}}, "/data/train", "upload"),
        ({"data": {"eval": "file_" + "0" * 32}}, "/data/eval", "upload"),
        ({"data": {"train": "arithmetics"}}, "/data/train", "arithmetic-heldout"),
        ({"data": {"train": "/etc/passwd"}}, "/data/train", "built-in"),
        ({"data": {"train": "etc/passwd/x"}}, "/data/train", "owner/name"),
        ({"data": {"train": [{"source": "arithmetic"}, {"source": "sums"}]}},
         "/data/train/1/source", "unknown data set 'sums'"),
        ({"data": {"eval": [{"source": "file_" + "0" * 32}]}}, "/data/eval/0/source", "upload"),
        ({"data": {"train": [{"source": "arithmetic", "split": "train"}]}},
         "/data/train/0/split", "hub"),
        ({"data": {"train": []}}, "/data/train", "must not be empty"),
        ({"data": {"prompt": "{{query}}"}}, "/data/prompt", "'query'"),
        ({"data": {"messages": "talk"}}, "/data/messages", "'talk'"),
        ({"data": {"answer_after": "####"}}, "/data/answer_after", "row 1: the answer does not"),
        ({"rollout": {"max_tokens": 1537}}, "/rollout/max_tokens", "2049"),
        ({"rollout": {"top_p": 0.9}}, "/rollout/top_p", "1"),
        ({"model": {"source": "tiny-arithmatic"}}, "/model/source", "tiny-arithmetic"),
        ({"model": {"source": "ckpt_" + "0" * 32}}, "/model/source", "checkpoint"),
        ({"learning_rate": 1}, "/learning_rate", "unknown field"),
        ({"optimizer": {"learning_rat": 1}}, "/optimizer/learning_rat", "learning_rate"),
        ({"seed": 2**63}, "/seed", ""),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("/") else "",
)  # fmt: skip
def test_an_invalid_spec_is_refused_with_a_pointer(
    http: httpx.Client, spec: dict[str, Any], pointer: str, said: str
):
    problems = refused(http, spec)
    assert list(problems) == [pointer]
    assert said in problems[pointer]


GRADER = {"type": "python", "source": "def grade(sample, item): return 1"}
CODE = {
    "rewards": [
        {"type": "number"},
        {"type": "multi", "rewards": [GRADER], "calculate_output": "python"},
    ]
}


def test_code_in_a_spec_is_refused_unless_the_server_allows_it(
    http: httpx.Client, settings: Settings, key: str
):
    problems = refused(http, CODE)
    assert list(problems) == ["/rewards/1/rewards/0/type"]
    assert "disabled on this server" in problems["/rewards/1/rewards/0/type"]
    allowing = settings.model_copy(update={"allow_python_rewards": True})
    with serving(allowing) as url, client(url, key) as allowed:
        assert allowed.post("/v1/jobs", json=CODE).status_code == 201


def test_every_problem_is_named_at_once(http: httpx.Client):
    spec: dict[str, Any] = {
        "data": {"train": "nothing", "answer": "{{a}}", "eval": "arithmetic-heldout"}
    }
    spec["rollout"] = {"max_tokens": 4096}
    assert set(refused(http, spec)) == {"/data/train", "/data/answer", "/rollout/max_tokens"}


def test_the_first_line_that_lacks_a_templates_field_is_named(http: httpx.Client):
    rows = [{"question": "1+1=", "answer": "2"}, {"question": "1+2="}, {"answer": "4"}]
    file = upload(http, lines(*rows)).json()["id"]
    problems = refused(http, {"data": {"train": file}})
    assert "line 2 has no field 'answer'" in problems["/data/answer"]
    assert "line 3 has no field 'question'" in problems["/data/prompt"]


def test_a_field_that_only_later_lines_have_is_missing_from_the_first(http: httpx.Client):
    file = upload(http, lines({"q": "1", "answer": "1"}, {"question": "1", "answer": "1"})).json()
    problems = refused(http, {"data": {"train": file["id"]}})
    assert "line 1 has no field 'question'; it has 'q', 'answer'" in problems["/data/prompt"]


def test_a_value_that_is_not_text_is_named_by_its_line(http: httpx.Client):
    file = upload(http, lines({"question": "1", "answer": "1"}, {"question": "2", "answer": None}))
    problems = refused(http, {"data": {"train": file.json()["id"]}})
    assert "line 2" in problems["/data/answer"]
    assert "null" in problems["/data/answer"]


def test_the_held_out_file_is_checked_as_well(http: httpx.Client):
    file = upload(http, lines({"question": "1"})).json()["id"]
    problems = refused(http, {"data": {"train": "arithmetic", "eval": file}})
    assert problems["/data/answer"].startswith("no row of data.eval has the field 'answer'")


def test_a_sources_own_settings_are_pointed_at_and_the_sections_where_it_has_none(
    http: httpx.Client,
):
    tales = upload(http, lines({"tale": "One.", "moral": "so: 1"})).json()["id"]
    own = {"source": tales, "name": "tales", "prompt": "{{story}}"}
    problems = refused(http, {"data": {"train": [{"source": "arithmetic"}, own]}})
    assert problems == {
        "/data/train/1/prompt": "no row of data.train, source 'tales' has the field 'story'; "
        "available fields: 'tale', 'moral'",
        "/data/answer": "no row of data.train, source 'tales' has the field 'answer'; "
        "available fields: 'tale', 'moral'",
    }
    own |= {"prompt": "{{tale}}", "answer": "{{moral}}", "answer_after": "=>"}
    problems = refused(http, {"data": {"train": [{"source": "arithmetic"}, own]}})
    assert problems == {
        "/data/train/1/answer_after": "data.train, source 'tales': 1 of 1 rows cannot be used "
        "(data.unusable): line 1: the answer does not contain '=>'"
    }
    own |= {"answer_after": ":"}
    spec = {"data": {"train": [{"source": "arithmetic"}, own]}}
    assert validated(http, spec)["num_prompts"] == 4096 + 1


def test_messages_are_tried_on_the_first_rows(http: httpx.Client):
    def row(*roles: str) -> dict[str, Any]:
        return {"talk": [{"role": role, "content": "x"} for role in roles], "answer": 1}

    good, bad = row("system", "user"), row("user", "assistant")
    file = upload(http, lines(good, bad)).json()["id"]
    data = {"train": file, "eval": None, "messages": "talk"}
    assert refused(http, {"data": data}) == {
        "/data/messages": "data.train: 1 of 2 rows cannot be used (data.unusable): line 2: the "
        "last message of 'talk' must be the user's"
    }
    data["train"] = upload(http, lines(good)).json()["id"]
    assert validated(http, {"data": data})["num_prompts"] == 1
    system = refused(http, {"data": {**data, "system": "Be brief."}})["/data/messages"]
    assert "line 1 has a system message of its own" in system


def test_a_hub_data_set_is_taken_on_trust_and_its_size_is_not_known(http: httpx.Client):
    gsm8k = {"source": "openai/gsm8k", "config": "main", "answer_after": "####"}
    for train in ("openai/gsm8k", [gsm8k, {"source": "arithmetic"}]):
        estimate = validated(http, {"data": {"train": train}})
        assert (estimate["num_prompts"], estimate["total_steps"]) == (None, None)


def test_the_context_of_a_model_folder_is_respected(http: httpx.Client, tmp_path: Path):
    (tmp_path / "config.json").write_text(json.dumps({"max_position_embeddings": 100}))
    problems = refused(http, {"model": {"source": str(tmp_path)}})
    assert "the model's context is 100" in problems["/rollout/max_tokens"]
    longer = {"source": str(tmp_path), "context_tokens": 4608}
    lengths = {"data": {"max_prompt_tokens": 512}, "rollout": {"max_tokens": 4096}}
    assert validated(http, {"model": longer, **lengths})["spec"]["model"] == {
        **validated(http, {})["spec"]["model"],
        **longer,
    }
    shorter = {"model": {**longer, "context_tokens": 4607}, **lengths}
    assert "model.context_tokens is 4607" in "".join(refused(http, shorter).values())


@pytest.mark.parametrize("kind", ["dynamic", "longrope", "yarn"])
def test_a_context_that_would_change_the_models_rotations_is_refused(
    http: httpx.Client, tmp_path: Path, kind: str
):
    lengths = {"data": {"max_prompt_tokens": 8}, "rollout": {"max_tokens": 8}}
    config = {"max_position_embeddings": 100, "rope_scaling": {"type": kind}}
    for written in (config, {"text_config": config}):
        (tmp_path / "config.json").write_text(json.dumps(written))
        longer = {"model": {"source": str(tmp_path), "context_tokens": 101}, **lengths}
        problem = refused(http, longer)["/model/context_tokens"]
        assert "above the 100 of the model's config" in problem
        assert f"rope_type {kind}" in problem
        validated(http, {"model": {"source": str(tmp_path), "context_tokens": 100}, **lengths})


def test_another_projects_file_is_not_found(http: httpx.Client, their_http: httpx.Client):
    theirs = upload(their_http, lines({"question": "1", "answer": "1"})).json()["id"]
    assert "not found: upload it first" in refused(http, {"data": {"train": theirs}})["/data/train"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"[]", b'"spec"', b"[" * 100_000], ids=lambda body: repr(body[:5])
)
def test_a_body_that_is_not_a_json_object_is_refused(http: httpx.Client, body: bytes):
    answer = http.post("/v1/jobs", content=body)
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_json"


def test_a_spec_of_megabytes_is_refused(http: httpx.Client):
    answer = http.post("/v1/jobs", json={"name": "x" * 2_000_000})
    assert answer.status_code == 413


def test_validate_only_returns_the_resolved_spec_and_stores_nothing(http: httpx.Client):
    file = upload(http, lines({"question": "1", "answer": "1"})).json()["id"]
    answer = http.post(
        "/v1/jobs?validate_only=true", json={"data": {"train": file}, "budget": {"epochs": 512}}
    )
    assert answer.status_code == 200
    assert answer.json()["num_prompts"] == 1
    assert answer.json()["total_steps"] == 2  # 512 epochs of 1 prompt, 256 prompts a step
    assert answer.json()["spec"]["algorithm"]["group_size"] == 2
    assert http.get("/v1/jobs").json()["data"] == []
    assert http.post("/v1/jobs?validate_only=true", json={"preset": "x"}).status_code == 422


def test_a_misspelt_query_parameter_submits_nothing(http: httpx.Client):
    answer = http.post("/v1/jobs?validate_onyl=true", json={})
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error["parameter"] == "validate_onyl"
    assert "'validate_only'" in error["detail"]
    assert http.get("/v1/jobs").json()["data"] == []
