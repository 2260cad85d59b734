"""Rewards in processes: one completion's failure does not affect the others."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from grpo.data.prompts import Prompt
from grpo.errors import RunError
from grpo.rewards.reward import Reward
from grpo.rollout.early_scores import EarlyScores
from grpo.rollout.scorer import Candidate, Score, ScoreFailure, Scorer
from grpo.spec.resolve import resolve
from grpo.spec.rollout import Scoring
from tests.training.misbehaving import MisbehavingReward, UnloadableReward
from tests.waiting import deadline, wait_until

LIMIT = Scoring(seconds=1.0, processes=2)


def candidate(text: str, answer: str, *, row: int = 1, **fields: Any) -> Candidate:
    prompt = Prompt(
        index=0, row=row, text="", token_ids=(), answer=answer, source="data", fields=fields
    )
    return Candidate(text, len(text), prompt)


def rewards(*written: dict[str, Any]) -> list[Reward]:
    return list(resolve({"rewards": list(written)}).rewards)


def order(*orders: str) -> list[Candidate]:
    return [candidate("", one, row=row) for row, one in enumerate(orders)]


def children(pid: int | None = None) -> set[int]:
    """Return the processes below `pid`, except Python's own tracker, which ends with its parent."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid or os.getpid()}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            if b"resource_tracker" not in Path(f"/proc/{child}/cmdline").read_bytes():
                found |= {child, *children(child)}
    return found


def gone(pid: int) -> bool:
    try:
        return " Z " in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.fixture
def obedient() -> Iterator[Scorer]:
    with closing(Scorer([MisbehavingReward()], LIMIT)) as scorer:
        yield scorer


def test_every_kind_of_reward_is_scored_in_order():
    chosen = rewards(
        {"type": "number", "weight": 2},
        {"type": "math"},
        {"type": "regex", "pattern": r"\d+ (eggs|pies)", "name": "unit"},
        {"type": "text_similarity", "measure": "chrf", "threshold": 0.9, "name": "near"},
    )
    with closing(Scorer(chosen, LIMIT)) as scorer:
        scored = scorer.score(
            [candidate(text, "18") for text in ("18 eggs", "$\\frac{36}{2}$", "18", "19 pies")]
        )
    sums = [(one.total, list(one.parts.values())) for one in scored if isinstance(one, Score)]
    assert sums == [
        (4.0, [1.0, 1.0, 1.0, 0.0]),
        (3.0, [1.0, 1.0, 0.0, 0.0]),
        (4.0, [1.0, 1.0, 0.0, 1.0]),
        (1.0, [0.0, 0.0, 1.0, 0.0]),
    ]


def test_a_failure_on_one_completion_does_not_affect_the_others(obedient: Scorer):
    bad = {
        "raise": "division by zero",
        "hang": "it took longer than 1 s",
        "bloat": "MemoryError",
        "end": "its process ended (exit code 7)",
        "kill": "its process ended (SIGKILL)",
        "nan": "its score is nan",
    }
    orders = [one for kind in bad for one in ("", "", kind, "")]
    started = time.monotonic()
    scored = obedient.score(order(*orders))
    assert time.monotonic() - started < deadline(10)
    assert scored == [
        ScoreFailure("misbehaving", row, bad[one], timed_out=one == "hang")
        if one
        else Score(1.0, {"misbehaving": 1.0})
        for row, one in enumerate(orders)
    ]
    assert obedient.score(order("")) == [Score(1.0, {"misbehaving": 1.0})]


def test_hanging_patterns_and_towers_of_powers_fail_in_time():
    chosen = rewards({"type": "regex", "pattern": "^(a+)+$"}, {"type": "math"})
    with closing(Scorer(chosen, LIMIT)) as scorer:
        started = time.monotonic()
        scored = scorer.score(
            [candidate(text, "18") for text in ("a" * 50 + "!", "$9^{9^{9^{9}}}$", "$18$")]
        )
        assert time.monotonic() - started < deadline(8)
    late = "it took longer than 1 s"
    assert scored == [
        ScoreFailure("regex", 1, late, timed_out=True),
        ScoreFailure("math", 1, late, timed_out=True),
        Score(1.0, {"regex": 0.0, "math": 1.0}),
    ]


def test_only_what_hangs_waits_for_the_limit(obedient: Scorer):
    def seconds() -> float:
        began = time.monotonic()
        (score,) = obedient.score(order(""))
        assert isinstance(score, Score)
        return time.monotonic() - began

    wait_until(lambda: seconds() < 0.5)  # not a poll's period, not the limit


def test_the_limit_is_each_completions_own_and_not_the_batchs(obedient: Scorer):
    assert obedient.score(order(*["sleep:0.4"] * 8)) == [Score(1.0, {"misbehaving": 1.0})] * 8


def test_a_pool_survives_the_kill_of_an_idle_process(obedient: Scorer):
    (before,) = obedient.score(order("pid"))
    assert isinstance(before, Score)
    os.kill(int(before.total), signal.SIGKILL)
    for _ in range(5):
        assert obedient.score(order("", "")) == [Score(1.0, {"misbehaving": 1.0})] * 2
        time.sleep(0.1)  # pebble looks this often


def test_a_pool_that_starts_again_while_completions_are_drawn_outlives_them(obedient: Scorer):
    """The kernel ends the processes with the thread that started them."""
    known = children()  # those of servers that tests share, too
    (before,) = obedient.score(order("pid"))
    assert isinstance(before, Score)
    os.kill(int(before.total), signal.SIGKILL)
    for _ in range(5):
        early = EarlyScores(obedient.score, obedient.executor, together=1)
        for place, one in enumerate(order("", "")):
            early.add(place, one)
        assert early.results() == [Score(1.0, {"misbehaving": 1.0})] * 2
        time.sleep(0.1)  # pebble looks this often
    started = children() - known
    assert len(started) == LIMIT.processes
    obedient.score(order("", ""))
    assert children() - known == started


def test_a_process_stopped_together_with_the_service_costs_no_score(
    obedient: Scorer, tmp_path: Path
):
    once = f"end once:{tmp_path / 'told'}"
    assert obedient.score(order("", once, "")) == [Score(1.0, {"misbehaving": 1.0})] * 3


def test_nothing_is_started_where_every_reward_is_cheap():
    before = children()
    with closing(Scorer(rewards({"type": "number"}, {"type": "format"}), LIMIT)) as scorer:
        scorer.score([candidate("18", "18")])
        assert children() == before


def test_closing_leaves_no_process():
    before = children()
    scorer = Scorer([MisbehavingReward()], LIMIT)
    scorer.score(order("", ""))
    assert len(children() - before) == LIMIT.processes
    scorer.close()
    assert children() == before


def test_a_reward_that_cannot_be_loaded_is_reported_at_the_start():
    before = children()
    with pytest.raises(RunError, match="'unloadable' cannot be loaded: No module") as refused:
        Scorer([UnloadableReward()], LIMIT)
    assert refused.value.code == "reward_failed"
    assert children() == before


def test_equal_mathematics_is_one_answer():
    with closing(Scorer(rewards({"type": "math"}), LIMIT)) as scorer:
        assert scorer.answers(["$\\frac{1}{2}$", "it is 0.5", "so"]) == ["1/2", "1/2", "so"]


def test_512_checks_of_mathematics_are_a_small_part_of_a_step():
    candidates = [candidate(f"so $\\frac{{{36 + n % 7}}}{{2}}$", "18") for n in range(512)]
    with closing(Scorer(rewards({"type": "math"}), LIMIT)) as scorer:
        scorer.score(candidates)
        began = time.monotonic()
        scored = scorer.score(candidates)
        seconds = time.monotonic() - began
    assert sum(score.total for score in scored if isinstance(score, Score)) == 74  # 0, 7, ..., 511
    assert seconds < deadline(1.5)  # 0.1 to 0.3 s where nothing else runs


SCORING = """
import json, signal, sys
from grpo.rollout.scorer import Scorer
from grpo.spec.rollout import Scoring
from tests.training.test_scoring_pool import MisbehavingReward, children, order
from tests.waiting import deadline, wait_until

if __name__ == "__main__":
    told = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: told.append(number))
    scorer = Scorer([MisbehavingReward()], Scoring(seconds=30, processes=2))
    print(json.dumps(sorted(children())), flush=True)
    scores = scorer.score(order("sleep:1.5", "sleep:1.5"))
    print(json.dumps([len(told), [score.total for score in scores]]), flush=True)
    sys.stdin.read()
    scorer.close()
"""


@pytest.fixture
def scoring(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A process with a scoring pool, in its own process group, and the pool's processes."""
    program = tmp_path / "scoring.py"
    program.write_text(SCORING)
    process = subprocess.Popen(
        [sys.executable, str(program)],
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    assert process.stdout is not None
    yield process, json.loads(process.stdout.readline())
    process.kill()
    process.communicate()


def test_a_signal_to_the_group_reaches_the_trainer_alone(
    scoring: tuple[subprocess.Popen[str], list[int]],
):
    process, _ = scoring
    assert process.stdout is not None
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)
    os.killpg(process.pid, signal.SIGTERM)
    assert json.loads(process.stdout.readline()) == [2, [1.0, 1.0]]
    _, errors = process.communicate("")
    assert (process.returncode, errors) == (0, "")


def test_scoring_processes_die_with_the_trainer(
    scoring: tuple[subprocess.Popen[str], list[int]],
):
    process, scorers = scoring
    assert len(scorers) == 2
    process.kill()
    wait_until(lambda: all(gone(pid) for pid in scorers))
