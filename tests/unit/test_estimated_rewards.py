"""A step's estimate of the policy's reward under each handling of ties, against the true one."""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from statistics import fmean
from typing import Any

import pytest
from transformers import AutoTokenizer

from grpo.builtin.catalogue import MODELS
from grpo.data.prompt_sampler import PromptSampler
from grpo.data.prompts import Prompt
from grpo.reporting.step_metrics import completion_metrics, reward_metrics
from grpo.rollout.collector import Collector
from grpo.rollout.engines.engine import Completion, Request, Sampling, Stream
from grpo.rollout.groups import as_first_drawn
from grpo.rollout.rollouter import Rollouter
from grpo.rollout.scorer import Scorer
from grpo.runtime.stopwatch import Stopwatch
from grpo.spec.algorithm import Advantage
from grpo.spec.resolve import resolve
from tests.unit.weightless_engine import WeightlessEngine

RIGHT, WRONG = b"1", b"000"
PASS_RATES = (0.02, 0.5)
NUM_STEPS, PROMPTS_PER_STEP = 20, 128


class ChanceEngine(WeightlessEngine):
    """Engine that is right with the prompt's pass rate, its only token; wrong ones are longer."""

    name = "chance"

    def __init__(self) -> None:
        self._random = Random(7)

    def stream(self, requests: Sequence[Request], sampling: Sampling) -> Stream:
        assert sampling.top_p == 1
        for place, request in enumerate(requests):
            yield place, self._complete(PASS_RATES[request.prompt_ids[0]])

    def _complete(self, pass_rate: float) -> Completion:
        ids = tuple(RIGHT if self._random.random() < pass_rate else WRONG)
        return Completion(ids, (-0.5,) * len(ids), "stop")


@pytest.fixture
def steps() -> Iterator[Callable[[str, int], list[dict[str, float]]]]:
    """The metrics of many steps."""
    scorers: list[Scorer] = []

    def steps(policy: str, group_size: int) -> list[dict[str, float]]:
        algorithm: dict[str, Any] = {
            "group_size": group_size,
            "prompts_per_step": PROMPTS_PER_STEP,
            "ties": {"policy": policy},
        }
        spec = resolve({"rewards": [{"type": "number"}], "algorithm": algorithm})
        scorers.append(Scorer(spec.rewards, spec.scoring))
        collector = Collector(
            spec.algorithm,
            prompts=[
                Prompt(index, index + 1, "", (index % 2,), answer="1", source="a", fields={})
                for index in range(200)
            ],
            sampler=PromptSampler(200, seed=1),
            rollouter=Rollouter(
                spec,
                engine=ChanceEngine(),
                tokenizer=AutoTokenizer.from_pretrained(MODELS["tiny-arithmetic"].folder),
                scorer=scorers[-1],
                stopwatch=Stopwatch(lambda: 0.0),
                penalise=None,
            ),
        )
        return [_step(collector, number, group_size) for number in range(NUM_STEPS)]

    yield steps
    for scorer in scorers:
        scorer.close()


def _step(collector: Collector, number: int, group_size: int) -> dict[str, float]:
    batch = collector.collect(number)
    drawn = [*batch.groups, *batch.discarded]
    first = as_first_drawn(drawn, group_size=group_size, advantage=Advantage())
    return {**reward_metrics(first, group_size=group_size), **completion_metrics(first)}


@pytest.mark.parametrize("group_size", [2, 4])
@pytest.mark.parametrize("policy", ["drop", "keep", "resample", "grow"])
def test_every_policy_of_ties_reports_what_the_policy_earns(
    steps: Callable[[str, int], list[dict[str, float]]], policy: str, group_size: int
):
    reported = steps(policy, group_size)
    tied = fmean(p**group_size + (1 - p) ** group_size for p in PASS_RATES)
    truth = {
        "reward": fmean(PASS_RATES),
        "pass_rate": fmean(PASS_RATES),
        "rewards/number/mean": fmean(PASS_RATES),
        "groups/keep_rate": 1 - tied,
        "groups/tied_fraction": tied,
        "frac_reward_zero_std": tied,
        "groups/all_right_fraction": fmean(p**group_size for p in PASS_RATES),
        "groups/all_wrong_fraction": fmean((1 - p) ** group_size for p in PASS_RATES),
    }
    means = {name: fmean(step[name] for step in reported) for name in truth}
    # Five standard errors of a fraction over the groups of all steps; the bias of a full batch.
    error = 5 * 0.5 / (NUM_STEPS * PROMPTS_PER_STEP) ** 0.5 + 0.25 / PROMPTS_PER_STEP
    assert means == pytest.approx(truth, abs=error)
    lengths = fmean(step["completions/mean_length"] for step in reported)
    assert lengths == pytest.approx(fmean(p + 3 * (1 - p) for p in PASS_RATES), abs=3 * error)
