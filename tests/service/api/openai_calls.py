"""Calls of OpenAI's own client, with data and a grader for them."""

import json
from typing import Any

import httpx
from openai import OpenAI

ROWS = [{"prompt": f"{n}+1=", "answer": str(n + 1), "place": {"city": "Rome"}} for n in range(4)]
CHAT = [{"messages": [{"role": "user", "content": "2+3="}], "truth": "5"} for _ in range(4)]
STRING_CHECK = {
    "type": "string_check",
    "name": "Right answer",
    "input": "{{sample.output_text}}",
    "reference": "{{item.answer}}",
    "operation": "eq",
}
SMALL = {"duet": {"preset": "demo", "model": {"source": "tiny-arithmetic"}}}


def upload(client: OpenAI, rows: list[dict[str, Any]], name: str = "rows.jsonl") -> str:
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    return client.files.create(file=(name, content), purpose="fine-tune").id


def create(client: OpenAI, file: str, grader: dict[str, Any] = STRING_CHECK, **more: Any) -> Any:
    method: Any = {"type": "reinforcement", "reinforcement": {"grader": grader}}
    given: dict[str, Any] = {"extra_body": SMALL, **more}
    return client.fine_tuning.jobs.create(
        model="tiny-arithmetic", training_file=file, method=method, **given
    )


def spec_of(http: httpx.Client, job: str) -> dict[str, Any]:
    return http.get(f"/v1/jobs/{job}").json()["spec"]
