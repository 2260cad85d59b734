"""A judge that compares completions, and is sometimes wrong, teaches the demo's policy to add."""

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from grpo.spec.resolve import merge, resolve
from tests.reward_service import Asked, Reply, reward_service
from tests.training.runs import records, run_here
from tests.training.test_learning import SETTINGS

NOISE = 0.1  # of the verdicts are by chance
MARGIN = 0.1  # of right completions, after 8 steps


def sum_of(conversation: str) -> str:
    terms = re.findall(r"\d+", conversation.rpartition("user: ")[2])
    return str(sum(map(int, terms)))


def shown(asked: Asked, name: str) -> str:
    text = asked.json["messages"][-1]["content"]
    return text.partition(f"<{name}>\n")[2].partition(f"\n</{name}>")[0]


@pytest.mark.nightly
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore")
def test_a_pairwise_judge_over_http_trains_without_labels(tmp_path: Path):
    noise = random.Random(0)

    def answering(asked: Asked) -> Reply:
        right = sum_of(shown(asked, "conversation"))
        good = [
            shown(asked, name).rpartition("#")[2].strip() == right
            for name in ("answer_A", "answer_B")
        ]
        better = "tie" if good[0] == good[1] else "A" if good[0] else "B"
        if noise.random() < NOISE:
            better = noise.choice(["A", "B", "tie"])
        content = json.dumps({"reasoning": "I added.", "better": better})
        return Reply({"choices": [{"message": {"content": content}}]})

    with reward_service(answering) as service:
        judge: dict[str, Any] = {"type": "judge", "mode": "pairwise", "model": "stand-in"}
        judge |= {"url": service.url, "rubric": "The sum is right.", "concurrency": 16}
        measured = {"type": "exact", "after": "#", "weight": 0}  # seen, not learnt from
        spec = resolve(
            merge(
                SETTINGS,
                {
                    "rewards": [judge, measured],
                    "evaluation": {"every_steps": 8, "limit": 128},
                    "budget": {"max_steps": 8},
                },
            )
        )
        folder = run_here(spec, tmp_path / "run")
    before, after = (
        record["payload"]["eval/rewards/exact/mean"] for record in records(folder, "eval")
    )
    assert after - before > MARGIN
    counted = [record["payload"] for record in records(folder, "metric")]
    assert sum(one["services/judge/num_requests"] for one in counted) > 0
    tied = [one["groups/tied_fraction"] for one in counted]
    assert min(tied) > 0.1
