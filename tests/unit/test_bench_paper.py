"""The benchmark of the paper's claim: its runs, numbers and page."""

from math import sqrt
from pathlib import Path
from random import Random

import pytest

from bench.paper.report import TaskResults, write_page
from bench.paper.runs import Result, Results, best_learning_rate, reported_runs, tuning_runs
from bench.paper.scores import Mean, base_score, equal_seconds, score, step_at, tied
from bench.paper.setting import FULL, METHODS, QUICK, TASKS
from grpo.builtin.gym_tasks import gym_tasks
from grpo.rewards.reasoning_gym import ReasoningGymReward
from grpo.spec.resolve import resolve
from grpo.validation.local import LocalSpecs

ARITHMETIC = TASKS["arithmetic"]


def result(*accuracy: float, group_size: int = 2, step_time: float = 2.0) -> Result:
    """A run of four steps of 100 rollouts, evaluated at every second one."""
    return Result(
        job="job",
        group_size=group_size,
        prompts_per_step=100 // group_size,
        steps=[1, 2, 3, 4],
        curves={
            "num_rollouts": [100, 200, 300, 400],
            "step_time": [step_time] * 4,
            "groups/tied_fraction": [0.6] * 4,
            "groups/expected_keep_rate": [0.5] * 4,
        },
        evaluated_steps=[0, 2, 4],
        accuracy=list(accuracy),
        passed=[one + 0.1 for one in accuracy],
        replaces_ties=False,
    )


@pytest.mark.parametrize("effort", [FULL, QUICK])
@pytest.mark.parametrize("name", METHODS)
def test_every_run_is_a_valid_spec_with_the_same_rollouts_and_updates(name: str, effort: object):
    assert effort in (FULL, QUICK)
    chosen = FULL if effort is FULL else QUICK
    [run, *_] = reported_runs(ARITHMETIC, METHODS[name], chosen, 1e-4)
    spec = LocalSpecs(Path(__file__).parent).check(run.spec).spec
    algorithm = spec.algorithm
    assert algorithm.group_size * algorithm.prompts_per_step == chosen.rollouts_per_step
    assert algorithm.minibatches == chosen.updates_per_step
    assert spec.budget.max_rollouts == chosen.rollouts


def test_learning_rates_are_chosen_on_rows_and_a_seed_that_are_not_reported():
    method = METHODS["2-GRPO"]
    tuning = list(tuning_runs(ARITHMETIC, method, FULL, "file_1"))
    reported = list(reported_runs(ARITHMETIC, method, FULL, 1e-4))
    assert {run.seed for run in tuning}.isdisjoint(run.seed for run in reported)
    assert [run.learning_rate for run in tuning] == list(FULL.learning_rates)
    assert {run.spec["data"]["eval"] for run in tuning} == {"file_1"}
    assert {run.spec["data"]["eval"] for run in reported} == {"arithmetic-heldout"}
    questions = {row["question"] for row in ARITHMETIC.validation_rows()}
    from grpo.builtin.arithmetic import held_out_rows, training_rows

    for rows in (training_rows(), held_out_rows()):
        assert questions.isdisjoint(row["question"] for row in rows)
    ends = [result(0.4, 0.5, 0.6), result(0.4, 0.6, 0.8), result(0.4, 0.9, 0.7)]
    assert best_learning_rate(tuning, ends) == FULL.learning_rates[1]


@pytest.mark.parametrize("name", ["spell_backward", "letter_counting"])
def test_a_task_of_the_gym_has_three_seeds_and_demonstrations_of_its_answers(name: str):
    from bench.paper.policies import SOLUTIONS, demonstrations

    task, method = TASKS[name], METHODS["2-GRPO"]
    [tuned, *_] = tuning_runs(task, method, FULL, task.validation)
    [run, *_] = reported_runs(task, method, FULL, 1e-4)
    sources = [run.spec["data"]["train"], tuned.spec["data"]["eval"], run.spec["data"]["eval"]]
    assert [source["seed"] for [source] in sources] == [0, 1, 2]
    prompt, solution = next(demonstrations(name))
    assert prompt.endswith("\n")
    assert solution
    reward = ReasoningGymReward.model_validate(task.base["rewards"][0])
    rows = gym_tasks()[name].rows
    for row in rows:
        right = SOLUTIONS[name](row, Random(0), 0.0)
        assert right is not None
        assert reward.answer_of(right) == row["answer"]
    assert len({SOLUTIONS[name](rows[0], Random(seed), 1.0) for seed in range(9)}) > 1


def test_a_result_is_found_again_for_the_same_spec_only(tmp_path: Path):
    first, second = list(reported_runs(ARITHMETIC, METHODS["memory"], FULL, 1e-4))[:2]
    results = Results(tmp_path / "results")
    assert results.get(first) is None
    results.put(first, result(0.4, 0.5, 0.6))
    assert Results(tmp_path / "results").get(first) == result(0.4, 0.5, 0.6)
    assert results.get(second) is None


@pytest.mark.parametrize(
    ("axis", "budget", "step"),
    [("rollouts", 300, 3), ("rollouts", 250, 2.5), ("prompts", 50, 1), ("seconds", 3, 1.5)],
)
def test_a_run_is_read_off_at_a_budget(axis: str, budget: float, step: float):
    assert step_at(result(0, 0, 0), axis, budget) == step  # pyright: ignore[reportArgumentType]


def test_scores_are_interpolated_and_have_students_interval():
    runs = [result(0.4, 0.6, 0.8), result(0.4, 0.7, 0.8), result(0.4, 0.8, 0.8)]
    found = score(runs, "rollouts", 100)
    assert found.accuracy.value == pytest.approx((0.5 + 0.55 + 0.6) / 3)
    assert found.accuracy.half_width == pytest.approx(4.303 * 0.05 / sqrt(3))
    assert (found.rollouts, found.seconds) == (Mean(100, 0), Mean(2, 0))
    assert score(runs[:1], "seconds", 8).accuracy == Mean(0.8)
    assert base_score(runs).value == pytest.approx(0.4)
    assert equal_seconds({"a": runs, "b": [result(0, 0, 0, step_time=1.5)]}) == 6
    assert tied(runs) == (pytest.approx(0.6), pytest.approx(0.5))


def test_the_page_has_a_table_for_each_budget_and_what_is_kept_and_saved(tmp_path: Path):
    runs = {
        "16-GRPO": [result(0.4, 0.6, 0.8, group_size=10, step_time=4)],
        "2-GRPO": [result(0.4, 0.5, 0.6)],
    }
    rates = {name: {1e-4: 0.5, 2e-4: 0.7} for name in runs}
    task = TaskResults("sums", runs, rates, dict.fromkeys(runs, 2e-4))
    write_page(tmp_path / "paper.md", [task], FULL, ["a machine"])
    text = (tmp_path / "paper.md").read_text()
    assert text.count("| method | mean@n |") == 3
    assert "Base policy: 40.0." in text
    assert "| 2-GRPO | 60.0 | 70.0 | 400 | 8 | 75.0% | 50.0% |" in text
    assert "| 16-GRPO | 50.0% | **70.0%** |" in text
    assert (tmp_path / "paper-sums.png").stat().st_size > 1000


def test_the_specs_of_the_methods_differ_only_in_how_completions_are_compared():
    specs = [
        resolve(next(reported_runs(ARITHMETIC, method, FULL, 1e-4)).spec).model_dump()
        for method in METHODS.values()
    ]
    for spec in specs:
        for varied in ("group_size", "prompts_per_step", "ties", "advantage"):
            del spec["algorithm"][varied]
    assert all(spec == specs[0] for spec in specs)
