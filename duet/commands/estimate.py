"""`duet estimate`: a job's estimated cost, at its group size and at others."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from duet.connection import Key, Url
from duet.objects.estimate import GroupSizeEstimate, Memory
from duet.spec_checks import GpuMemory, spec_checks, tell_not_checked
from duet.spec_file import Settings, read_spec, with_settings
from duet.terminal.output import AsJson, clock, mebibytes, print_json, print_lines, print_table

PAPERS_SIZES = (2, 16)  # arXiv 2510.00977 compares these
PARTS = (
    "weights",
    "gradients",
    "optimizer",
    "activations",
    "logits",
    "reference",
    "engine",
    "rollout",
    "runtime",
)


def estimate(
    spec: Annotated[Path, typer.Argument(help="The job's spec: YAML or JSON.")],
    settings: Settings = None,
    group_size: Annotated[
        list[int] | None,
        typer.Option(
            min=2, max=1024, help="Other group size to estimate (repeatable); default: 2 and 16."
        ),
    ] = None,
    gpu_memory: GpuMemory = None,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Estimate a job's cost: steps, rollouts, tokens, time and memory.

    At its own group size first, then at others.  Nothing is queued, and no server is needed.
    """
    wanted = with_settings(read_spec(spec), settings)
    sizes = group_size or PAPERS_SIZES
    with spec_checks(url, key, folder=spec.parent, gpu_memory_gib=gpu_memory) as checks:
        found = checks.estimate(wanted, group_sizes=sizes)
    tell_not_checked(found)
    if as_json:
        print_json(found)
        return
    print_lines([_of_prompts(found.num_prompts)])
    sizes = [f"{each.group_size} per prompt" for each in found.estimates]
    print_table(["", *sizes], _rows(found.estimates), numbers=sizes)
    print_lines(_notes(found.estimates))


def _of_prompts(num_prompts: int | None) -> str:
    return "prompts: not known yet" if num_prompts is None else f"{num_prompts:,} prompts"


def _rows(found: list[GroupSizeEstimate]) -> Iterator[list[str]]:
    def row(name: str, say: Callable[[GroupSizeEstimate], str]) -> list[str]:
        return [name, *map(say, found)]

    yield row("steps", lambda each: _number(each.steps))
    yield row("updates", lambda each: _number(each.updates))
    yield row("rollouts", lambda each: _number(each.rollouts))
    yield row("tokens", lambda each: _number(each.tokens))
    yield row("tokens at most", lambda each: _number(each.longest_tokens))
    yield row("time", lambda each: "?" if each.seconds is None else clock(each.seconds))
    yield row("memory", lambda each: _memory(each.memory, "total"))
    for part in PARTS:
        if any(each.memory and getattr(each.memory, part) for each in found):
            yield row(f"  {part}", lambda each, part=part: _memory(each.memory, part))


def _number(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"


def _memory(memory: Memory | None, part: str) -> str:
    return "?" if memory is None else mebibytes(getattr(memory, part))


def _notes(found: list[GroupSizeEstimate]) -> Iterator[str]:
    """Yield the sources of the numbers, and reasons for unknown ones."""
    measured = [each for each in found if each.measured_on]
    yield from (
        f"time and tokens with {each.group_size} per prompt: from {each.measured_on} earlier jobs"
        for each in measured
    )
    if len(measured) < len(found):
        yield "time and tokens marked ? are available once a similar job has trained here"
    yield from dict.fromkeys(
        f"memory is not known: {each.memory_unknown}" for each in found if each.memory_unknown
    )
    for memory in [each.memory for each in found if each.memory][:1]:
        where = "in the trainer's process" if memory.device == "cpu" else "on one GPU"
        yield (
            f"memory is {where}, with the {memory.assumed_engine} engine, each part at its peak; "
            "the peaks do not coincide"
        )
