"""`duet validate`: check of a spec."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from duet.connection import Key, Url
from duet.objects.estimate import Validated
from duet.objects.trial import KindTried, Preflight
from duet.spec_checks import GpuMemory, spec_checks, tell_not_checked
from duet.spec_file import Settings, read_spec, with_settings
from duet.terminal.output import AsJson, print_json, print_lines, print_table, score


def validate(
    spec: Annotated[Path, typer.Argument(help="The job's spec: YAML or JSON.")],
    settings: Settings = None,
    gpu_memory: GpuMemory = None,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Check a spec and its data, and test its rewards on rows of the data.

    Nothing is queued, and no server is needed.  Exit code 2: the spec is invalid.
    """
    wanted = with_settings(read_spec(spec), settings)
    with spec_checks(url, key, folder=spec.parent, gpu_memory_gib=gpu_memory) as checks:
        found = checks.validate(wanted)
    tell_not_checked(found)
    if as_json:
        print_json(found)
        return
    print_lines([_summary(found)])
    if found.preflight is not None:
        _print_preflight(found.preflight)


def _summary(found: Validated) -> str:
    if found.num_prompts is None:
        return "the spec is valid; the number of prompts is not known yet"
    return f"the spec is valid: {found.num_prompts:,} prompts, {found.total_steps:,} steps"


def _print_preflight(preflight: Preflight) -> None:
    if preflight.not_tried is not None:
        print_lines([f"the rewards were not tested: {preflight.not_tried}"])
        return
    print_lines([f"mean scores of test completions on {preflight.num_rows} rows:"])
    kinds = ["right", "wrong", "empty", "huge"]
    rows = [
        [each.reward, *(_mean(getattr(each, kind)) for kind in kinds)] for each in preflight.rewards
    ]
    print_table(["reward", *kinds], rows, numbers=kinds)
    print_lines(_warnings(preflight))


def _mean(tried: KindTried | None) -> str:
    """Return the mean score of one kind of completions; `none` if none was scored."""
    scores = [] if tried is None else [each for each in tried.scores if each is not None]
    return score(sum(scores) / len(scores) if scores else None)


def _warnings(preflight: Preflight) -> Iterator[str]:
    for each in preflight.rewards:
        yield from (f"{each.reward}: {warning}" for warning in each.warnings)
