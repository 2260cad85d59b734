"""The page of results: tables like the paper's table 1, and figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.paper.plots import draw_curves
from bench.paper.runs import Result
from bench.paper.scores import Axis, Mean, Score, base_score, equal_seconds, score, tied
from bench.paper.setting import LARGEST_GROUP, REFERENCE, Effort

HEADINGS = ("method", "mean@n", "pass@n", "rollouts", "seconds", "score kept", "time saved")


@dataclass(frozen=True)
class TaskResults:
    """A task's reported runs, and how each learning rate did on the separate seed."""

    task: str
    runs: Mapping[str, Sequence[Result]]
    tuning: Mapping[str, Mapping[float, float]]
    """Method -> learning rate -> accuracy."""
    chosen: Mapping[str, float]


def write_page(
    page: Path, tasks: Sequence[TaskResults], effort: Effort, machine: Sequence[str]
) -> None:
    """Write the page, with its figures beside it."""
    page.parent.mkdir(parents=True, exist_ok=True)
    lines = ["# The paper's claim, measured", "", *_introduction(effort), "", *machine, ""]
    for results in tasks:
        figure = page.with_name(f"{page.stem}-{results.task}.png")
        draw_curves(results.runs, figure)
        lines += [*_task(results, effort), "", f"![Curves of {results.task}]({figure.name})", ""]
    page.write_text("\n".join(lines))


def _introduction(effort: Effort) -> list[str]:
    seeds = ", ".join(map(str, effort.seeds))
    return [
        "Written by `make bench-paper`.  Each run is a job, submitted as a sweep through the API:",
        f"{effort.rollouts:,} rollouts, {effort.rollouts_per_step} a step in "
        f"{effort.updates_per_step} updates with every method; seeds {seeds}; n = "
        f"{effort.samples} completions of each of {effort.evaluated} held-out prompts at "
        "temperature 1.",
        "± is half of a 95 % interval of the mean over seeds (Student's t); with one seed there is "
        "none.  Between two evaluations the accuracy is interpolated.  Seconds are those of "
        "training steps, without evaluations.",
        "",
        "**Equal prompts**: as many prompts as 16-GRPO draws.  **Equal rollouts**: as many "
        "completions.  **Equal time**: until the fastest method has used its rollouts.  "
        f"*Score kept* and *time saved* are relative to {REFERENCE} at the same budget; at equal "
        "time the time saved is 0 by construction.",
    ]


def _task(results: TaskResults, effort: Effort) -> list[str]:
    budgets: list[tuple[str, Axis, float]] = [
        ("Equal prompts", "prompts", effort.rollouts / LARGEST_GROUP),
        ("Equal rollouts", "rollouts", float(effort.rollouts)),
        ("Equal time", "seconds", equal_seconds(results.runs)),
    ]
    any_method = next(iter(results.runs.values()))  # all begin with the same policy
    lines = [f"## {results.task}", "", f"Base policy: {_percent(base_score(any_method))}."]
    for title, axis, budget in budgets:
        scores = {name: score(runs, axis, budget) for name, runs in results.runs.items()}
        lines += ["", f"### {title}", "", *_table(scores)]
    lines += ["", "### Groups without a contrast", "", *_ties(results)]
    return [*lines, "", "### Learning rates", "", *_rates(results)]


def _table(scores: Mapping[str, Score]) -> list[str]:
    reference = scores.get(REFERENCE)
    rows = [
        (
            name,
            _percent(one.accuracy),
            _percent(one.passed),
            f"{one.rollouts.value:,.0f}",
            _number(one.seconds),
            _share(one.accuracy, reference and reference.accuracy),
            _saved(one.seconds, reference and reference.seconds),
        )
        for name, one in scores.items()
    ]
    return _markdown(HEADINGS, rows)


def _ties(results: TaskResults) -> list[str]:
    rows = [
        (name, f"{measured:.1%}", f"{predicted:.1%}")
        for name, runs in results.runs.items()
        for measured, predicted in [tied(runs)]
    ]
    headings = ("method", "tied groups", "predicted from the mean pass rate: p^k + (1-p)^k")
    note = "The prediction takes all prompts as equally hard, so prompts that differ tie more."
    return [*_markdown(headings, rows), "", note]


def _rates(results: TaskResults) -> list[str]:
    rates = sorted({rate for by_rate in results.tuning.values() for rate in by_rate})
    rows = [
        (
            name,
            *(_rate(by_rate[rate], chosen=rate == results.chosen[name]) for rate in rates),
        )
        for name, by_rate in results.tuning.items()
    ]
    note = (
        "Accuracy on a third set of rows, at half of the rollouts and on a seed that is not "
        "reported; the reported runs use the best."
    )
    return [*_markdown(("method", *(f"{rate:g}" for rate in rates)), rows), "", note]


def _rate(accuracy: float, *, chosen: bool) -> str:
    return f"**{accuracy:.1%}**" if chosen else f"{accuracy:.1%}"


def _markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---"] * len(headings)
    return ["| " + " | ".join(cells) + " |" for cells in (headings, rule, *rows)]


def _percent(mean: Mean) -> str:
    spread = "" if mean.half_width is None else f" ± {100 * mean.half_width:.1f}"
    return f"{100 * mean.value:.1f}{spread}"


def _number(mean: Mean) -> str:
    spread = "" if mean.half_width is None else f" ± {mean.half_width:.0f}"
    return f"{mean.value:.0f}{spread}"


def _share(own: Mean, reference: Mean | None) -> str:
    return "" if reference is None else f"{own.value / reference.value:.1%}"


def _saved(own: Mean, reference: Mean | None) -> str:
    return "" if reference is None else f"{1 - own.value / reference.value:.1%}"
