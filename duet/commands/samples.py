"""`duet samples`: completions of a job's policy, with their rewards."""

from collections import deque
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from duet.connection import JobId, Key, Url, connect
from duet.objects.log import Completion, Sample
from duet.terminal.output import AsJson, print_json_list, say
from duet.terminal.plain import console, plain, plain_lines

SIDE_BY_SIDE_COLUMNS = 80
INDENT = (0, 0, 0, 2)


class Outcome(StrEnum):
    MIXED = "mixed"
    TIED = "tied"


def samples(
    job: JobId,
    step: Annotated[int | None, typer.Option(min=0, help="Only samples of this step.")] = None,
    outcome: Annotated[
        Outcome | None, typer.Option(help="Only groups with different rewards, or only ties.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Number of samples: the last ones.")] = 5,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Show sampled prompts with their completions, each with its rewards, and the winner."""
    with connect(url, key) as client:
        of = outcome.value if outcome else None
        found = deque(client.jobs.samples(job, step=step, outcome=of), maxlen=limit)
    if as_json:
        print_json_list(found)
        return
    out = console()
    for sample in found:
        for part in _parts(sample, wide=out.width >= SIDE_BY_SIDE_COLUMNS):
            out.print(part)
    if not found:
        say("no matching samples" if step is not None or outcome else "none yet")


def _parts(sample: Sample, *, wide: bool) -> Iterator[RenderableType]:
    yield Text(plain(f"step {sample.step}, {sample.outcome}; answer: {sample.answer}"), "bold")
    yield _indented(Text(plain_lines(sample.prompt), "dim"))
    best = max((each.reward for each in sample.completions if each.reward is not None), default=0)
    told = [
        _told(each, won=sample.outcome == Outcome.MIXED and each.reward == best)
        for each in sample.completions
    ]
    if wide and len(told) == 2:
        pair = Table.grid(padding=(0, 2), expand=True)
        pair.add_column(ratio=1)
        pair.add_column(ratio=1)
        pair.add_row(*told)
        yield Padding(pair, INDENT)
    else:
        yield from map(_indented, told)
    yield ""


def _indented(what: Text) -> Padding:
    return Padding(what, INDENT, expand=False)


def _told(completion: Completion, *, won: bool) -> Text:
    total = "no reward" if completion.reward is None else f"reward {completion.reward:.4g}"
    parts = [
        f"{name} {'failed' if score is None else f'{score:.4g}'}"
        for name, score in completion.rewards.items()
    ]
    head = f"{'won: ' if won else ''}{total} ({', '.join(parts)})"
    return Text.assemble((plain(head), "green" if won else ""), "\n", plain_lines(completion.text))
