"""reasoning-gym's tasks as data of a spec, checked without the library."""

from pathlib import Path
from typing import Any

import pytest

from grpo.builtin.gym_tasks import VERSION, gym_task, gym_tasks
from grpo.data.source_ref import Kind, data_ref
from grpo.rewards.reasoning_gym import ReasoningGymReward
from grpo.rewards.reward import Case
from grpo.spec.resolve import SpecError, resolve
from grpo.validation.local import LocalSpecs

ROOT = Path(__file__).parents[2]

GCD = {
    "model": {"source": "tiny-arithmetic"},
    "data": {"train": "reasoning-gym:gcd", "eval": "reasoning-gym:gcd", "max_prompt_tokens": 256},
    "rewards": [{"type": "reasoning_gym"}],
    "rollout": {"max_tokens": 32},
}


def problems(data: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(SpecError) as refused:
        LocalSpecs(ROOT).check({**GCD, "data": {**GCD["data"], **data}})
    return dict(refused.value.problems)


def test_the_catalogue_has_every_single_turn_task_of_the_pinned_version():
    assert len(gym_tasks()) == 105
    assert f"reasoning-gym=={VERSION}" in (ROOT / "requirements/cpu.txt").read_text()
    for task in gym_tasks().values():
        assert len(task.rows) == 3
        assert all(row["task"] == task.name and row["question"] for row in task.rows)


def test_sets_without_a_seed_get_different_rows():
    data = resolve({"data": dict.fromkeys(("train", "eval", "test"), "reasoning-gym:gcd")}).data
    sources = (*data.train_sources, *data.eval_sources, *data.test_sources)
    assert [source.seed for source in sources] == [0, 1, 2]
    written = [{"source": "reasoning-gym:gcd", "seed": 7}]
    assert resolve({"data": {"eval": written}}).data.eval_sources[0].seed == 7


def test_a_task_is_checked_and_estimated_without_generating_it():
    checked = LocalSpecs(ROOT).check(
        {**GCD, "data": {**GCD["data"], "train": [{"source": "reasoning-gym:gcd", "size": 5120}]}}
    )
    assert (checked.num_prompts, checked.total_steps) == (5120, 200)


@pytest.mark.parametrize(
    ("train", "pointer", "said"),
    [
        ("reasoning-gym:gdc", "/data/train", "no task 'gdc'; did you mean gcd"),
        ("reasoning-gym:", "/data/train", "no task ''"),
        ("reasoning-gym:composite", "/data/train", "no task 'composite'"),
        ("reasoning-gym:../../etc/passwd", "/data/train", "no task"),
        ([{"source": "reasoning-gym:gcd", "size": 0}], "/data/train/list/0/size", "at least"),
        ([{"source": "reasoning-gym:gcd", "size": 10**9}], "/data/train/list/0/size", "at most"),
        ([{"source": "reasoning-gym:gcd", "seed": -1}], "/data/train/list/0/seed", "at least"),
        ([{"source": "reasoning-gym:gcd", "seed": 1 << 40}], "/data/train/list/0/seed", "at most"),
        (
            [{"source": "reasoning-gym:gcd", "parameters": {"digits": 1}}],
            "/data/train/0/source",
            "gcd has no parameter 'digits'; its parameters: max_numbers, max_value",
        ),
        (
            [{"source": "reasoning-gym:gcd", "parameters": {"max_value": [1]}}],
            "/data/train/0/source",
            "must be one number",
        ),
        ([{"source": "reasoning-gym:gcd", "split": "x"}], "/data/train/list/0", "split: only hub"),
        ([{"source": "arithmetic", "size": 8}], "/data/train/list/0", "size: only reasoning-gym"),
    ],
)
def test_what_a_task_does_not_have_is_named(train: Any, pointer: str, said: str):
    found = problems({"train": train})
    [(at, detail)] = [(at, detail) for at, detail in found.items() if said in detail] or [
        *found.items()
    ]
    assert said in detail
    assert at.replace("/list", "") == pointer.replace("/list", "")


def test_a_parameter_that_the_library_could_evaluate_as_python_is_refused():
    for evil in ("__import__('os')", ["+", "__import__('os')"]):
        source = {"source": "reasoning-gym:basic_arithmetic", "parameters": {"operators": evil}}
        assert problems({"train": [source]})


def test_the_reward_is_refused_for_other_rows():
    found = problems({"train": "arithmetic"})
    assert "no row of data.train has the field" in found["/rewards/0/type"]


def test_a_name_of_the_gym_is_never_a_path_or_a_hub_id():
    for name in ("reasoning-gym:gcd", "reasoning-gym:a/b", "reasoning-gym:../x", "reasoning-gym:"):
        assert data_ref(name).kind is Kind.GYM
    with pytest.raises(ValueError, match="no task"):
        gym_task("reasoning-gym:" + "x" * 900)


def test_a_row_of_another_source_is_unusable():
    reward, row = ReasoningGymReward(type="reasoning_gym"), gym_tasks()["gcd"].rows[0]
    reward.check_answer(Case("", 0, "", row))
    without = {name: value for name, value in row.items() if name != "metadata"}
    with pytest.raises(ValueError, match="no field 'metadata': this reward is for rows of"):
        reward.check_answer(Case("", 0, "", without))


@pytest.mark.parametrize(
    ("after", "completion", "answer"),
    [
        (None, "so <answer> 7 </answer>, no, <answer>8</answer>", "8"),
        (None, " 8\n", "8"),
        ("#", "5 # 7 # 8", "8"),
        ("#", "8", None),
    ],
)
def test_the_answer_of_a_completion(after: str | None, completion: str, answer: str | None):
    reward = ReasoningGymReward(type="reasoning_gym", after=after)
    assert reward.answer_of(completion) == answer


def test_a_task_without_a_single_answer_has_no_completion_of_full_score():
    reward = ReasoningGymReward(type="reasoning_gym")
    colors, numbers = gym_tasks()["graph_color"].rows[0], gym_tasks()["gcd"].rows[0]
    assert reward.completion_for(Case("", 0, "", colors)) is None
    assert reward.completion_for(Case("", 0, "", numbers)) == numbers["answer"]
