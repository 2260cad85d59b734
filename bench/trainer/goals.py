"""Rows of the report from turns: each goal's number, and whether it was met."""

from collections.abc import Mapping, Sequence
from statistics import median

from bench.report import Row
from bench.trainer.memory import METHODS, Method
from bench.trainer.parts import Recorded
from bench.turns import Turn
from grpo.estimate.memory import MIB, MemoryEstimate

LEAST_SHARE = 0.9  # of the bare throughput
MOST_OVERHEAD = 0.05  # of a step
MOST_PADDING = 0.1  # of the computed tokens
MOST_GROWTH = 1.1  # of the peak, when tokens double
MOST_ERROR = 0.15  # of the measured peak
NAMES: Mapping[Method, str] = {"ours": "our logprobs", "full": "a whole log-softmax"}
PHASES = ("rollout", "update", "sync")

Peaks = Mapping[tuple[Method, int, int], int]
"""Bytes by method, vocabulary and tokens."""


def speed_up(
    ours: Sequence[Turn], peer: Sequence[Turn], *, goal: str, least: float, num_completions: int
) -> Row:
    """Compare whole steps of equal size: the peer's seconds over ours, per round.

    `least`: 1 must be exceeded, any other value reached.
    """
    ratios = [theirs.seconds / own.seconds for own, theirs in zip(ours, peer, strict=True)]
    speeds = [num_completions / _median_seconds(turns) for turns in (ours, peer)]
    return Row(
        goal,
        f"{median(ratios):.2f}x ({min(ratios):.2f}-{max(ratios):.2f}); "
        f"{speeds[0]:.0f} against {speeds[1]:.0f}/s",
        "> 1x" if least == 1 else f">= {least:g}x",
        median(ratios) > 1 if least == 1 else median(ratios) >= least,
    )


def rollout_share(ours: Sequence[Turn], bare: Sequence[Turn], *, goal: str, judged: bool) -> Row:
    """Compare tokens per second, reported by the turns, in percent of the bare engine's."""
    speeds = [
        (own.said / own.seconds, other.said / other.seconds)
        for own, other in zip(ours, bare, strict=True)
    ]
    return _share_row(goal, [own / other for own, other in speeds], judged=judged)


def update_share(ours: Sequence[Turn], bare: Sequence[Turn], *, goal: str, judged: bool) -> Row:
    """Compare the time for the same tokens: the bare loop's seconds in percent of ours."""
    shares = [other.seconds / own.seconds for own, other in zip(ours, bare, strict=True)]
    return _share_row(goal, shares, judged=judged)


def overhead(ours: Sequence[Turn], *, goal: str) -> Row:
    """Return the share of a step outside rollout, update and sync: rewards, records and others."""
    shares = [
        1 - sum(turn.said[f"seconds/{phase}"] for phase in PHASES) / turn.seconds for turn in ours
    ]
    share = median(shares)
    return Row(goal, f"{share:.1%}", f"<= {MOST_OVERHEAD:.0%}", share <= MOST_OVERHEAD)


def phases(ours: Sequence[Turn], *, goal: str) -> Row:
    """Return the composition of a step, without a goal."""
    shares = {
        phase: median(turn.said[f"seconds/{phase}"] / turn.seconds for turn in ours)
        for phase in PHASES
    }
    return Row(goal, ", ".join(f"{phase} {share:.0%}" for phase, share in shares.items()))


def padding(recorded: Recorded, *, goal: str) -> Row:
    fraction = recorded.padding_fraction
    num_rows = sum(map(len, recorded.row_lengths))
    return Row(
        goal,
        f"{fraction:.1%} ({num_rows} rows in {len(recorded.row_lengths)} micro-batches)",
        f"<= {MOST_PADDING:.0%}",
        fraction <= MOST_PADDING,
    )


def estimated_memory(ours: Sequence[Turn], estimate: MemoryEstimate, *, goal: str) -> Row:
    """Compare the process's peak, engine included, with the prediction from the spec."""
    peak = max(turn.said["memory/peak_bytes"] for turn in ours)
    error = estimate.total / peak - 1
    return Row(
        goal,
        f"{peak / MIB:,.0f} MiB, estimate {error:+.0%}",
        f"within {MOST_ERROR:.0%}",
        abs(error) <= MOST_ERROR,
    )


def memory_growth(peaks: Peaks) -> list[Row]:
    """Return the peaks, and their growth when the largest number of tokens doubles."""
    vocabularies = sorted({vocabulary for _, vocabulary, _ in peaks})
    return [
        _growth_row(method, vocabulary, peaks) for vocabulary in vocabularies for method in METHODS
    ]


def _growth_row(method: Method, vocabulary: int, peaks: Peaks) -> Row:
    by_tokens = {
        n: peak for (by, words, n), peak in peaks.items() if (by, words) == (method, vocabulary)
    }
    *_, fewer, most = sorted(by_tokens)
    growth = by_tokens[most] / by_tokens[fewer]
    sizes = ", ".join(f"{by_tokens[n] / MIB:,.0f}" for n in sorted(by_tokens))
    at = ", ".join(f"{n:,}" for n in sorted(by_tokens))
    goal = f"{NAMES[method]}, vocabulary {vocabulary:,}, {at} tokens"
    measured = f"{sizes} MiB; {fewer:,} to {most:,}: {growth:.2f}x"
    if method == "full":
        return Row(goal, measured)
    return Row(goal, measured, f"<= {MOST_GROWTH:g}x", growth <= MOST_GROWTH)


def _share_row(goal: str, shares: Sequence[float], *, judged: bool) -> Row:
    share = median(shares)
    measured = f"{share:.0%} ({min(shares):.0%}-{max(shares):.0%})"
    if not judged:
        return Row(goal, measured)
    return Row(goal, measured, f">= {LEAST_SHARE:.0%}", share >= LEAST_SHARE)


def _median_seconds(turns: Sequence[Turn]) -> float:
    return median(turn.seconds for turn in turns)
