"""Routes that the form of a new job uses."""

import json
from typing import Any

import httpx

from grpo.builtin.catalogue import DATASETS


def uploaded(http: httpx.Client, *rows: dict[str, Any]) -> str:
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    answer = http.post("/v1/files", files={"file": ("rows.jsonl", lines.encode())})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def preview(http: httpx.Client, **data: Any) -> list[dict[str, Any]]:
    answer = http.post("/v1/datasets/preview", json=data)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def test_the_schema_describes_every_field_with_its_bounds(http: httpx.Client):
    schema = http.get("/v1/schema").json()
    group_size = schema["$defs"]["Algorithm"]["properties"]["group_size"]
    assert (group_size["minimum"], group_size["maximum"], group_size["default"]) == (2, 1024, 2)
    assert all("description" in field for field in schema["properties"].values())


def test_rows_are_shown_as_the_policy_will_see_them(http: httpx.Client):
    file = uploaded(
        http,
        {"q": "1 + 1", "solution": "one and one #### 2"},
        {"q": "2 + 2", "solution": "four"},
        {"q": "3" * 5000, "solution": "#### 3"},
    )
    templates = {"prompt": "Work out {{q}}.", "answer": "{{solution}}", "answer_after": "####"}
    [source] = preview(http, train=file, system="Be brief.", **templates)
    assert (source["source"], source["num_rows"]) == (file, 3)
    assert [field["name"] for field in source["fields"]] == ["q", "solution"]
    good, unmarked, long = source["rows"]
    assert good == {
        "number": 1,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Work out 1 + 1."},
        ],
        "answer": "2",
        "problem": None,
    }
    assert unmarked["messages"][-1]["content"] == "Work out 2 + 2."
    assert unmarked["answer"] is None
    assert "line 2: the answer does not contain '####'" in unmarked["problem"]
    assert len(long["messages"][-1]["content"]) == 4001


def test_a_failed_preview_is_reported(http: httpx.Client):
    [built_in, hub] = preview(
        http, train=[{"source": "arithmetic"}, {"source": "openai/gsm8k", "split": "train"}]
    )
    first = next(DATASETS["arithmetic"].rows())
    assert built_in["rows"][0]["messages"] == [{"role": "user", "content": first["question"]}]
    assert (hub["num_rows"], hub["rows"]) == (None, [])
    [source] = preview(http, train="arithmetic", prompt="{{no_such}}")
    assert "no field 'no_such'" in source["rows"][0]["problem"]
    refused = http.post("/v1/datasets/preview", json={"train": "file_" + "0" * 32})
    assert refused.status_code == 422
    assert [error["pointer"] for error in refused.json()["errors"]] == ["/train"]
