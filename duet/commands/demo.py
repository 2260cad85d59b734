"""`duet demo`: a complete training run over HTTP, in about two minutes."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from duet.client.sync.client import Client
from duet.client.sync.job_log import succeeded
from duet.commands.up import Folder
from duet.discovery import FOLDER_NAME, Server, running_server
from duet.errors import DuetError
from duet.local.state import State
from duet.objects.file import File
from duet.objects.job import Job
from duet.signals import StopRequested
from duet.terminal.demo_report import Outcome
from duet.terminal.output import say, tell
from duet.terminal.watch import watch

TRAINING_SET = "arithmetic"
HELD_OUT_SET = "arithmetic-heldout"


def demo(
    folder: Folder = Path(FOLDER_NAME),
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train the built-in policy with 2-GRPO over HTTP, and show what it has learned."""
    out = sys.stderr if as_json else sys.stdout
    try:
        with _server(State(folder)) as server, Client(server.url, server.key) as client:
            say(f"Web page: {server.dashboard}\n", out=out)
            outcome = _train(client, folder, out)
    except StopRequested:
        tell("The job is kept; `duet up` resumes it.")
        sys.exit(130)
    say(json.dumps(outcome.facts()) if as_json else outcome.report())


@contextmanager
def _server(state: State) -> Iterator[Server]:
    """Use the server that runs on this folder, or start one for the demo."""
    if state.running:
        tell(f"using the server that runs on {state.folder}")
        yield running_server(state.folder)
        return
    from duet.local.run_locally import local_duet  # as in `duet up`

    with local_duet(state, port=None, say=tell) as (_, server):
        yield server


def _train(client: Client, folder: Path, out: TextIO) -> Outcome:
    began = time.monotonic()
    sets = [_generate(name, folder / "data") for name in (TRAINING_SET, HELD_OUT_SET)]
    overlap = _num_shared(*sets)
    training, held_out = (client.files.upload(path) for path in sets)
    say(
        f"training set  {training.num_rows} problems  {training.id}\n"
        f"held-out set  {held_out.num_rows} problems  {held_out.id}\n"
        f"in both       {overlap}\n",
        out=out,
    )
    job = client.jobs.create(_spec(training, held_out))
    say(f"submitted {job.id}", out=out)
    watch(client, job, out)
    return _outcome(
        client, succeeded(client.jobs.get(job.id)), folder, began=began, overlap=overlap
    )


def _generate(name: str, folder: Path) -> Path:
    """Write a built-in data set as JSONL."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.jsonl"
    with path.open("wb") as out:
        command = [sys.executable, "-P", "-m", "grpo", "dataset", name]
        done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=False, check=False)
    if done.returncode:
        raise DuetError(f"generating the data set {name} failed:\n{done.stderr.decode()}")
    return path


def _num_shared(first: Path, second: Path) -> int:
    """Return the number of problems in both files."""
    questions = [
        {json.loads(line)["question"] for line in path.read_text().splitlines()}
        for path in (first, second)
    ]
    return len(questions[0] & questions[1])


def _spec(training: File, held_out: File) -> dict[str, Any]:
    return {
        "name": "demo: arithmetic with 2-GRPO",
        "preset": "demo",
        "data": {"train": training.id, "eval": held_out.id},
    }


def _outcome(client: Client, job: Job, folder: Path, *, began: float, overlap: int) -> Outcome:
    last = list(client.checkpoints.list(job.id))[-1]
    target = folder / "checkpoints" / job.id / f"step-{last.step:06}"
    client.checkpoints.download(last.id, target)
    records = client.jobs.records(job.id, kind="eval")
    evals = [record for record in records if record.step is not None]
    return Outcome(
        job=job,
        evals=tuple(evals),
        checkpoint=last,
        folder=target,
        overlap=overlap,
        seconds=time.monotonic() - began,
    )
