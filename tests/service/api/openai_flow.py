"""`python openai_flow.py ADDRESS KEY`: all that OpenAI's client does here, from upload to download.

A program by itself, so that it runs with any release of `openai` that is put before it.  It uses
only what every supported release has, and prints what it saw.
"""

import json
import sys
import time
from typing import Any
from urllib.request import Request, urlopen

import openai
from openai import OpenAI

from tests.waiting import deadline

ROWS = [{"prompt": f"{n}+1=", "answer": str(n + 1)} for n in range(4)]
RIGHT = {
    "type": "string_check",
    "name": "right",
    "input": "{{sample.output_text}}",
    "reference": "{{item.answer}}",
    "operation": "eq",
}
LIKE = {**RIGHT, "name": "like", "operation": "like"}
MULTI = {
    "type": "multi",
    "name": "both",
    "graders": {"right": RIGHT, "like": LIKE},
    "calculate_output": "0.5 * right + 0.5 * like",
}
LATER = {"resources": {"not_before": "2999-01-01T00:00:00Z"}}
SECONDS = 60


def main(address: str, key: str) -> None:
    client: Any = OpenAI(base_url=f"{address}/openai/v1", api_key=key, max_retries=0)
    content = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
    file = client.files.create(file=("rows.jsonl", content), purpose="fine-tune").id
    seen = {
        "version": openai.__version__,
        "rewards": [tried(client, grader) for grader in (RIGHT, MULTI)],
        "trained": [trained(client, address, file, grader) for grader in (RIGHT, MULTI)],
        "steered": steered(client, file),
        "refused": refused(client, file),
        "content": client.files.content(file).read() == content,
        "files": [each.filename for each in client.files.list()],
        "jobs": len([job.id for job in client.fine_tuning.jobs.list(limit=1)]),
        "deleted": client.files.delete(file).deleted,
    }
    print(json.dumps(seen))  # noqa: T201


def tried(client: Any, grader: dict[str, Any]) -> float:
    """Return the score of a nearly right completion; older releases send the row differently."""
    graders = client.fine_tuning.alpha.graders
    assert graders.validate(grader=grader).grader.type == grader["type"]
    given = {"grader": grader, "model_sample": "it is 4", "extra_body": {"item": {"answer": "4"}}}
    try:
        return graders.run(**given).reward
    except TypeError:
        return graders.run(**given, reference_answer="4").reward


def create(client: Any, file: str, grader: dict[str, Any], **more: Any) -> Any:
    method = {"type": "reinforcement", "reinforcement": {"grader": grader}}
    return client.fine_tuning.jobs.create(
        model="tiny-arithmetic", training_file=file, method=method, **more
    )


def trained(client: Any, address: str, file: str, grader: dict[str, Any]) -> dict[str, Any]:
    """Follow a job to its end; `script` is for the scripted trainer."""
    jobs = client.fine_tuning.jobs
    job = create(client, file, grader, suffix="flow", metadata={"script": "step complete"})
    assert job.method.reinforcement.grader.type == grader["type"]
    latest = time.monotonic() + deadline(SECONDS)
    while (job := jobs.retrieve(job.id)).status not in ("succeeded", "failed", "cancelled"):
        assert time.monotonic() < latest, job.status
        time.sleep(0.1)
    [checkpoint] = jobs.checkpoints.list(job.id)
    assert job.fine_tuned_model == checkpoint.fine_tuned_model_checkpoint
    path = f"{address}/v1/checkpoints/{checkpoint.id}/files/model.safetensors"
    with urlopen(Request(path, headers={"Authorization": f"Bearer {client.api_key}"})) as stored:
        weights = stored.read().decode()
    messages = [event.message for event in jobs.list_events(job.id, limit=2)]
    return {"status": job.status, "step": checkpoint.step_number, "weights": weights} | {
        "first": messages[-1],
        "last": messages[0].partition(":")[0],
    }


def steered(client: Any, file: str) -> list[str]:
    jobs = client.fine_tuning.jobs
    job = create(client, file, RIGHT, extra_body={"duet": LATER}).id
    return [each(job).status for each in (jobs.pause, jobs.resume, jobs.cancel)]


def refused(client: Any, file: str) -> list[str]:
    """The client's exceptions for Duet's errors."""
    said = []
    try:
        create(client, file, RIGHT, seed=-1)
    except openai.BadRequestError as error:
        said.append(str(error.param))
    try:
        client.fine_tuning.jobs.retrieve("ftjob-nothing")
    except openai.NotFoundError as error:
        said.append(str(error.code))
    try:
        client.with_options(api_key="duet_nobody").files.list()
    except openai.AuthenticationError as error:
        said.append(str(error.code))
    return said


if __name__ == "__main__":
    main(*sys.argv[1:])
