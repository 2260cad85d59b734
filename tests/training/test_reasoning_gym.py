"""Rows of reasoning-gym's tasks as generated, and as scored in the sandbox."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from multiprocessing import get_context
from typing import Any

import pytest

from grpo.builtin.gym_tasks import gym_tasks
from grpo.data.gym_rows import generated, gym_rows
from grpo.data.rows import RowError
from grpo.rewards.grading import Failed
from grpo.rewards.multi import MultiReward
from grpo.rewards.pool import RewardPool
from grpo.rewards.reasoning_gym import ReasoningGymReward, gym_sandbox
from grpo.rewards.reward import Case
from grpo.runtime.gym_library import NEEDS_SOLVER
from grpo.spec.data import DataSource
from tests.training.test_scoring_pool import children
from tests.waiting import deadline

# A text's hash, or the generators of the whole process, decide about the rows of these.
UNSEEDED = ["isomorphic_strings", "pool_matrix"]
OTHERS = sorted(gym_tasks().keys() - NEEDS_SOLVER - set(UNSEEDED))


def case(row: dict[str, Any], text: str) -> Case:
    return Case(text, 1, row["answer"], row)


@pytest.fixture(scope="module")
def reward() -> Iterator[ReasoningGymReward]:
    reward = ReasoningGymReward(type="reasoning_gym", threshold=None)
    reward.prepare()
    yield reward
    gym_sandbox().close()


@pytest.mark.parametrize(
    "task", [*UNSEEDED, *(pytest.param(task, marks=pytest.mark.nightly) for task in OTHERS)]
)
def test_another_process_generates_the_rows_of_the_catalogue(task: str):
    """Also with a larger size."""
    rows = gym_rows(DataSource(source=f"reasoning-gym:{task}", seed=0, size=4))
    assert [row.fields for row in islice(rows, 3)] == list(gym_tasks()[task].rows)


def test_neighboring_seeds_share_no_row():
    large = {"min_terms": 4, "min_digits": 4}  # small sums repeat by chance
    first, second = (
        {row["question"] for row in generated("chain_sum", large, seed=seed, size=200)}
        for seed in (0, 1)
    )
    assert not first & second


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"source": "reasoning-gym:gcd", "parameters": {"min_value": 0}}, "refuses its parameters"),
        ({"source": "reasoning-gym:gdc"}, "no task 'gdc'"),
        (
            {
                "source": "reasoning-gym:palindrome_generation",
                "parameters": {"min_length": 500_000, "max_length": 500_000},
            },
            "row 1 exceeds",
        ),
    ],
)
def test_rows_that_cannot_be_generated_are_explained(source: dict[str, Any], said: str):
    with pytest.raises(RowError, match=said):
        list(gym_rows(DataSource.model_validate(source)))


def test_generating_ends_at_a_limit_of_time():
    source = DataSource(source="reasoning-gym:futoshiki", size=100_000)
    with pytest.raises(RowError, match="takes longer than 3 s: lower size"):
        list(gym_rows(source, seconds=3))


@pytest.mark.parametrize(
    "task", ["arc_agi", "gcd", "knights_knaves", "countdown", "sudoku", "zebra_puzzles"]
)
def test_a_rows_own_answer_has_the_full_score(reward: ReasoningGymReward, task: str):
    for row in gym_tasks()[task].rows:
        assert reward.score(case(row, row["answer"])) == 1
        assert reward.score(case(row, f"so <answer>{row['answer']}</answer>")) == 1
        assert reward.score(case(row, "?")) < 1


@pytest.mark.nightly
def test_every_task_scores_its_own_answers_and_any_text(reward: ReasoningGymReward):
    several = {task for task in gym_tasks() if not gym_tasks()[task].rows[0]["answer"]}
    assert several == {
        *("boxnet", "graph_color", "propositional_logic", "rubiks_cube", "rush_hour")
    }
    for task in gym_tasks().values():
        for row in task.rows:
            if task.name not in several:
                assert reward.score(case(row, row["answer"])) == 1, task.name
            for text in ("", "?", "7", "[[1]]", "{}", "-1 " * 100, "\0"):
                assert 0 <= reward.score(case(row, text)) <= 1, task.name


def test_a_task_of_several_answers_takes_each(reward: ReasoningGymReward):
    row = gym_tasks()["rubiks_cube"].rows[0]
    assert reward.score(case(row, row["metadata"]["example_correct_answer"])) == 1


def test_the_score_is_made_binary_unless_it_is_asked_for(reward: ReasoningGymReward):
    row = gym_tasks()["prime_factorization"].rows[0]
    assert reward.score(case(row, "7")) == 0.01
    binary = reward.model_copy(update={"threshold": 1.0})
    assert binary.score(case(row, "7")) == 0
    assert binary.score(case(row, row["answer"])) == 1
    assert reward.score(case(row, "seven")) == 0  # at which its scorer raises


def test_a_completion_that_is_evaluated_as_python_sees_no_files(reward: ReasoningGymReward):
    row = gym_tasks()["spiral_matrix"].rows[0]
    listed = f"{row['answer']!r}.split()"
    assert reward.score(case(row, listed)) == 0.1  # its scorer evaluates it
    for secret in ("/etc/passwd", __file__, "/proc/self/environ"):
        seen = f"__import__('os').path.exists({secret!r})"
        assert reward.score(case(row, f"[] if {seen} else {listed}")) == 0.1
    # Of at most 32 files four are open: the standard ones and the channel.
    others = "[__import__('os').dup(0) for _ in range(28)]"
    closed = f"[__import__('os').close(one) for one in {others}]"
    assert reward.score(case(row, f"{listed} if {closed} else []")) == 0.1
    opened = f"__import__('socket').create_connection(('127.0.0.1', 1)) or {listed}"
    assert reward.score(case(row, opened)) == 0


def many(name: str, parts: int) -> MultiReward:
    gyms = [{"type": "reasoning_gym", "name": f"gym{n}", "after": str(n)} for n in range(parts)]
    return MultiReward.model_validate(
        {"type": "multi", "name": name, "rewards": gyms, "calculate_output": "gym0"}
    )


@pytest.mark.usefixtures("reward")
@pytest.mark.parametrize(("multis", "parts"), [(1, 16), (3, 2)])
def test_all_rewards_of_a_process_share_one_sandbox(multis: int, parts: int):
    before = children()
    ReasoningGymReward(type="reasoning_gym", threshold=None).prepare()
    for number in range(multis):
        many(f"multi{number}", parts).prepare()
    assert children() == before


def test_another_thread_or_a_forked_process_has_a_sandbox_of_its_own():
    """A sandbox dies with the thread that started it, and its channel has one user."""
    ours = gym_sandbox()
    assert gym_sandbox() is ours
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(gym_sandbox).result() is not ours
    forked = get_context("fork").Process(target=lambda: sys.exit(gym_sandbox() is ours))
    forked.start()
    forked.join()
    assert forked.exitcode == 0


@pytest.mark.nightly
def test_a_completion_that_is_computed_forever_is_one_lost_score():
    row = gym_tasks()["countdown"].rows[0]
    pool = RewardPool([ReasoningGymReward(type="reasoning_gym")], processes=1, seconds=1)
    try:
        pool.prepare(0, seconds=deadline(60))
        [hung] = pool.grade([(0, case(row, "9**9**9**9"))])
        assert isinstance(hung, Failed)
        assert hung.timed_out
        [right] = pool.grade([(0, case(row, row["answer"]))], seconds=deadline(60))
        assert right == 1
    finally:
        pool.close()
