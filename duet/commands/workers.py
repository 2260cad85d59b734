"""`duet workers`: the workers, and draining them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

import typer

from duet.connection import Key, Url, connect
from duet.objects.fleet import Gpu, Worker
from duet.terminal.output import AsJson, age, gibibytes, print_answer, print_json, print_lines, say

WorkerId = Annotated[
    str, typer.Argument(metavar="WORKER", help="Its id, as `duet workers` lists it.")
]
VERSIONS_SHOWN = ("duet", "torch", "vllm")

app = typer.Typer(help="The workers; draining them needs the scope `server`.")


@app.callback(invoke_without_command=True)
def workers(
    context: typer.Context, as_json: AsJson = False, url: Url = None, key: Key = None
) -> None:
    """List the workers with their hardware and jobs."""
    if context.invoked_subcommand is not None:
        return
    with connect(url, key) as client:
        if as_json:
            print_json(client.read("/v1/workers"))
            return
        found = client.workers.list()
    now = datetime.now(UTC)
    print_lines(line for worker in found for line in _lines(worker, now))
    if not found:
        say("No worker is running: start one with `python -m worker`.")


@app.command()
def drain(
    worker: WorkerId,
    leave: Annotated[
        bool, typer.Option("--leave", help="Also end it once it runs no more jobs.")
    ] = False,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Drain a worker: it finishes its jobs and takes no more."""
    with connect(url, key) as client:
        now = client.workers.drain(worker, leave=leave)
    then = ", and then leaves" if leave else ""
    print_answer(now, f"{now.id} finishes its jobs{then}", as_json=as_json)


@app.command()
def undrain(worker: WorkerId, as_json: AsJson = False, url: Url = None, key: Key = None) -> None:
    """Let a worker take jobs again."""
    with connect(url, key) as client:
        now = client.workers.undrain(worker)
    print_answer(now, f"{now.id} takes jobs again", as_json=as_json)


def _lines(worker: Worker, now: datetime) -> Iterator[str]:
    running = len(worker.jobs) + worker.num_other_jobs
    seen = age((now - worker.last_seen_at).total_seconds())
    yield f"{worker.id}  {_status(worker, now)}, runs {running} of {worker.slots}, seen {seen} ago"
    yield f"  {worker.host}: {_machine(worker)}; queues {', '.join(worker.queues)}"
    versions = [
        f"{name} {worker.versions[name]}" for name in VERSIONS_SHOWN if name in worker.versions
    ]
    if versions:
        yield f"  {', '.join(versions)}"
    yield from (f"  {job}" for job in worker.jobs)


def _status(worker: Worker, now: datetime) -> str:
    if worker.draining_at is None:
        return worker.status if worker.blocked is None else f"takes no jobs: {worker.blocked}"
    since = age((now - worker.draining_at).total_seconds())
    return f"{worker.status} for {since}{', then leaves' if worker.leaves_when_empty else ''}"


def _machine(worker: Worker) -> str:
    named = [_gpu(gpu) for gpu in worker.gpus]
    gpus = ", ".join(named) or (f"{worker.num_gpus} GPUs" if worker.num_gpus else "no GPU")
    memory = "" if worker.memory_bytes is None else f", {gibibytes(worker.memory_bytes)} of memory"
    return gpus + memory


def _gpu(gpu: Gpu) -> str:
    return gpu.name if gpu.memory_bytes is None else f"{gpu.name} {gibibytes(gpu.memory_bytes)}"
