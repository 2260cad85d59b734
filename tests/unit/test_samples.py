"""Samples of a step: sampled groups, and a row for every completion."""

from statistics import fmean

import pytest
from transformers import AutoTokenizer

from grpo.builtin.catalogue import MODELS
from grpo.data.prompts import Prompt
from grpo.reporting.samples import TokenLogprobs, pick_samples, rollout_rows, sample_payload
from grpo.rollout.engines.engine import Completion
from grpo.rollout.groups import Group, Rollout
from grpo.rollout.scorer import Score


def group(row: int, rewards: list[float], advantages: list[float], *, tied: bool) -> Group:
    prompt = Prompt(
        index=row - 1,
        row=row,
        text=f"p{row}",
        token_ids=(1, 2, 3),
        answer="a",
        source="sums",
        fields={},
    )
    rollouts = tuple(
        Rollout(
            prompt=prompt,
            sibling=sibling,
            completion=Completion((55, 35), (-0.5, -0.25), "stop"),
            text=f"t{sibling}",
            score=Score(reward, {"exact": reward}),
            right=reward == 1,
        )
        for sibling, reward in enumerate(rewards)
    )
    return Group(prompt=prompt, rollouts=rollouts, advantages=tuple(advantages), tied=tied)


MIXED = group(1, [1, 0], [1, -1], tied=False)
GROWN = group(2, [0, 0, 0, 1], [-0.5, -0.5, -0.5, 1.5], tied=False)
TIED = group(3, [0, 0], [0, 0], tied=True)


@pytest.mark.parametrize(
    ("groups", "count", "ties"),
    [
        ([MIXED, TIED, TIED] * 3, 3, [False, False, True]),
        ([MIXED, TIED, TIED] * 3, 2, [False, True]),
        ([MIXED, TIED, TIED] * 3, 1, [False]),
        ([MIXED, TIED, TIED] * 3, 0, []),
        ([MIXED] * 4, 3, [False, False, False]),
        ([MIXED, TIED], 8, [False, True]),
        ([TIED] * 4, 3, [True]),
        ([TIED] * 4, 1, [True]),
        ([TIED] * 4, 0, []),
    ],
)
def test_the_requested_number_of_groups_is_sampled_with_one_tie(
    groups: list[Group], count: int, ties: list[bool]
):
    picked = pick_samples(groups, count=count, seed=5)
    assert [group.tied for group in picked] == ties
    assert picked == pick_samples(groups, count=count, seed=5)


def test_a_sample_contains_all_of_a_group():
    payload = sample_payload(MIXED)
    assert {key: payload[key] for key in payload if key != "completions"} == {
        "prompt": "p1",
        "answer": "a",
        "source": "sums",
        "outcome": "mixed",
    }
    assert payload["completions"][1] == {
        "text": "t1",
        "reward": 0,
        "rewards": {"exact": 0},
        "advantage": -1,
        "num_tokens": 2,
        "finish_reason": "stop",
    }
    assert sample_payload(TIED)["outcome"] == "tied"
    assert [one["advantage"] for one in sample_payload(GROWN)["completions"]] == [
        *(-0.5, -0.5, -0.5, 1.5)
    ]


def test_a_sample_has_both_logprobs_per_token_if_requested():
    tokenizer = AutoTokenizer.from_pretrained(MODELS["tiny-arithmetic"].folder)
    token_ids = (*tokenizer("7#")["input_ids"], tokenizer.eos_token_id)
    rollout = Rollout(
        prompt=MIXED.prompt,
        sibling=0,
        completion=Completion(token_ids, (-0.5, -0.25, -0.125), "stop"),
        text="7#",
        score=Score(1, {"exact": 1}),
        right=True,
    )
    both = Group(MIXED.prompt, (rollout, rollout), (1, -1), tied=False)
    logprobs = TokenLogprobs(tokenizer, policy=[[-0.5, -0.375, -0.125], None])
    first, second = sample_payload(both, token_logprobs=logprobs)["completions"]
    end = tokenizer.eos_token
    assert first["tokens"] == [
        {"text": "7", "sampler_logprob": -0.5, "policy_logprob": -0.5},
        {"text": "#", "sampler_logprob": -0.25, "policy_logprob": -0.375},
        {"text": end, "sampler_logprob": -0.125, "policy_logprob": -0.125},
    ]
    assert [token["policy_logprob"] for token in second["tokens"]] == [None, None, None]


def test_logprobs_that_are_not_one_a_token_are_refused():
    tokenizer = AutoTokenizer.from_pretrained(MODELS["tiny-arithmetic"].folder)
    with pytest.raises(ValueError, match="zip"):
        sample_payload(MIXED, token_logprobs=TokenLogprobs(tokenizer, policy=[[-0.5], None]))


def test_every_completion_is_a_row_of_the_rollouts():
    rows = list(rollout_rows([MIXED, GROWN], discarded=[TIED, MIXED], step=9))
    assert len(rows) == 10
    assert fmean(row["reward"] for row in rows) == 3 / 10
    assert [row["group"] for row in rows] == [0, 0, 1, 1, 1, 1, 2, 2, 3, 3]
    assert [row["discarded"] for row in rows] == [False] * 6 + [True] * 4
    assert rows[5] == {
        "step": 9,
        "group": 1,
        "row": 2,
        "source": "sums",
        "outcome": "mixed",
        "discarded": False,
        "sibling": 3,
        "prompt": "p2",
        "messages": [],
        "text": "t3",
        "reward": 1,
        "rewards": {"exact": 1},
        "advantage": 1.5,
        "num_tokens": 2,
        "finish_reason": "stop",
    }
    assert (rows[7]["outcome"], rows[7]["row"]) == ("tied", 3)
