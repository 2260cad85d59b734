"""Checks of specs without a server, beside those of a server."""

import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from grpo.spec.resolve import SpecError
from grpo.validation.local import FileUnusable, LocalSpecs
from grpo.values.strict_json import ValuesRefused, read_object
from tests.service.api.command_line.conftest import Duet, duet  # noqa: F401 - a fixture
from tests.service.duet_process import environment, run_duet

AWAY = {"DUET_URL": "", "DUET_API_KEY": ""}
ROWS = [{"question": f"{n}+1=", "answer": str(n + 1), "level": n % 3} for n in range(15)]
OWN = {"data": {"train": "rows.jsonl", "eval": "rows.csv"}, "rewards": [{"type": "number"}]}
EQUAL = {"type": "string_check", "input": "{{sample.output_text}}", "operation": "eq"}
BOTH = {
    "data": {
        "train": [{"source": "rows.jsonl", "weight": 2}, {"source": "arithmetic"}],
        "max_prompt_tokens": 64,
    },
    "rollout": {"max_tokens": 64},
    "rewards": [{"type": "number"}, {**EQUAL, "reference": "{{item.answer}}"}],
}
VALID = {
    "nothing": {},
    "demo": {"preset": "demo"},
    "own": {**OWN, "resources": {"gpus": 1}},
    "both": BOTH,
    "hub": {"model": {"source": "Qwen/Qwen3-0.6B"}, "data": {"train": "openai/gsm8k"}},
    "date": {"preset": "demo", "resources": {"not_before": "2030-01-01T00:00:00Z"}},
}
WRONG = {
    "misspelt": {"algorithm": {"group_sizes": 4}},
    "two fields": {"seed": -1, "algorithm": {"loss": "x"}},
    "preset": {"preset": "x"},
    "no such data": {"data": {"train": "gone.jsonl"}},
    "a long name": {"data": {"train": "x" * 900}},
    "no such model": {"model": {"source": "tiny"}},
    "a relative folder": {"model": {"source": "./models/mine"}},
    "context": {"rollout": {"max_tokens": 100_000}},
    "field": {"data": {"train": "rows.jsonl", "prompt": "{{problem}}"}},
    "answers": {"data": {"train": "words.jsonl"}, "rewards": [{"type": "number"}]},
    "a reward's field": {**BOTH, "rewards": [{**EQUAL, "reference": "{{item.x}}"}]},
    "a hub setting": {"data": {"train": [{"source": "rows.jsonl", "split": "x"}]}},
    "a pattern": {"rewards": [{"type": "regex", "pattern": "("}]},
    "not finite": {"optimizer": {"learning_rate": float("nan")}},
    "a NUL": {"name": "a\0b"},
    "an integer": {"seed": 1 << 70},
    "steps": {"preset": "demo", "budget": {"epochs": 1e15, "max_steps": None}},
    "not a section": {"data": 3},
    "not a list": {"data": {"train": [3]}},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    (tmp_path / "rows.jsonl").write_text(lines)
    (tmp_path / "rows.csv").write_text(
        "question,answer\n" + "".join(f"{n}+2=,{n + 2}\n" for n in range(7))
    )
    (tmp_path / "words.jsonl").write_text('{"question": "?", "answer": "none"}\n' * 3)
    (tmp_path / "broken.jsonl").write_text(lines + "{")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    return tmp_path


@pytest.fixture
def sent(http: httpx.Client, folder: Path) -> Callable[[Any], Any]:
    """Returns a spec as the client sends it: names of files replaced by ids of uploads."""
    ids: dict[str, str] = {}

    def replaced(value: Any) -> Any:
        match value:
            case dict():
                return {name: replaced(item) for name, item in value.items()}
            case list():
                return [replaced(item) for item in value]
            case str() if os.path.isfile(folder / value) and value not in ids:
                content = (folder / value).read_bytes()
                answer = http.post("/v1/files", files={"file": (value, content)})
                ids[value] = answer.json()["id"]
        return ids.get(value, value) if isinstance(value, str) else value

    return replaced


def test_valid_specs_get_the_same_numbers(http: httpx.Client, folder: Path, sent: Any):
    for name, spec in VALID.items():
        body = {"spec": sent(spec), "group_sizes": [2, 16]}
        there = http.post("/v1/estimates", json=body).json()
        here = LocalSpecs(folder).estimate(spec, [2, 16]).model_dump(mode="json")
        assert here["estimates"] == there["estimates"], name
        assert (here["num_prompts"] is None) == (name == "hub")
        assert here["num_prompts"] == there["num_prompts"]
        assert sent(here["spec"]) == there["spec"], name


def test_wrong_specs_get_the_same_problems(http: httpx.Client, folder: Path, sent: Any):
    for name, spec in WRONG.items():
        body = json.dumps(sent(spec)).encode()
        answer = http.post("/v1/jobs?validate_only=true", content=body)
        assert answer.status_code == 422, name
        with pytest.raises((SpecError, ValuesRefused)) as refused:
            LocalSpecs(folder).validate(read_object(json.dumps(spec).encode()))
        there = [
            (error["pointer"], re.sub("file_[0-9a-f]{32}", "rows", error["detail"]))
            for error in answer.json()["errors"]
        ]
        assert refused.value.problems == there, name


def test_a_reward_is_tested_on_the_same_rows(http: httpx.Client, folder: Path, sent: Any):
    there = http.post("/v1/jobs?validate_only=true", json=sent(BOTH)).json()
    here = LocalSpecs(folder).validate(BOTH).model_dump(mode="json")
    assert here["total_steps"] == there["total_steps"]
    for found in (here, there):
        preflight: Mapping[str, Any] = found["preflight"]
        assert preflight["num_rows"] == 8
        for reward in preflight["rewards"]:
            for kind in ("right", "wrong", "empty", "huge"):
                if reward[kind] is not None:
                    del reward[kind]["seconds"]
    assert here["preflight"]["rewards"] == there["preflight"]["rewards"]


def test_files_are_looked_at_before_the_spec(folder: Path):
    for name in ("broken.jsonl", "picture.png"):
        for train in (name, [{"source": "rows.jsonl"}, {"source": name}]):
            with pytest.raises(FileUnusable, match=f"^{name} cannot be used: "):
                LocalSpecs(folder).check({"seed": -1, "data": {"train": train}})


def test_what_only_a_server_checks_is_named(folder: Path):
    python = {"type": "python", "source": "def grade(sample, item):\n    return 1.0\n"}
    specs = LocalSpecs(folder)
    found = specs.validate(
        {
            "model": {"source": "ckpt_0198"},
            "data": {"train": "file_0198", "eval": "openai/gsm8k"},
            "rewards": [python],
        }
    )
    assert specs.not_checked == [
        "a server's quotas and limits",
        "whether a server runs Python rewards",
        "the checkpoint ckpt_0198",
        "the uploaded file file_0198",
        "the hub data set openai/gsm8k, and whether a server allows it",
    ]
    assert found.num_prompts is None
    assert found.preflight is not None
    assert found.preflight.not_tried == "Python rewards are not run without a server"
    specs = LocalSpecs(folder)
    (estimate,) = specs.estimate({"model": {"source": str(folder)}}, []).estimates
    assert estimate.memory_unknown == f"the architecture of {str(folder)!r} is unknown here"
    assert f"whether a server may read the folder {folder}" in specs.not_checked


def test_the_commands_say_the_same_and_that_no_server_was_asked(duet: Duet, folder: Path):  # noqa: F811
    path = folder / "spec.json"
    for command, spec, code in (
        ("estimate", BOTH, 0),
        ("validate", WRONG["two fields"], 2),
        ("validate", {"data": {"train": "broken.jsonl"}}, 2),
    ):
        path.write_text(json.dumps(spec))
        here = duet(command, path, code=code)
        there = duet(command, path, code=code, **AWAY)
        told = [line for line in here.stderr.splitlines() if ", file_" not in line]
        notice = there.stderr.splitlines()
        if code == 0:
            first = "computed on this machine, without a server; not checked: a server's quotas"
            assert notice.pop(0).startswith(first)
        assert (notice, there.stdout) == (told, here.stdout)
    path.write_text("{}")
    found = json.loads(duet("validate", path, "--json", **AWAY).stdout)
    assert found["not_checked"][0] == "a server's quotas and limits"


def test_a_new_spec_is_the_same(duet: Duet):  # noqa: F811
    demo = ("--preset", "demo")
    assert duet("new", "-", *demo, **AWAY).stdout == duet("new", "-", *demo).stdout
    assert "the presets are" in duet("new", "-", "--preset", "x", code=2, **AWAY).stderr


def test_a_server_that_is_named_and_silent_is_not_replaced(folder: Path):
    (folder / "spec.json").write_text("{}")
    named = environment(DUET_URL="http://127.0.0.1:9", DUET_API_KEY="duet_k")
    done = run_duet("estimate", "spec.json", cwd=folder, env=named, seconds=60)
    assert (done.returncode, done.stdout) == (3, "")
    assert "does not answer" in done.stderr
