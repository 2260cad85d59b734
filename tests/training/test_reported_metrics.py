"""Metrics in a real run's records, recomputed from its rollouts and weights."""

import io
import json
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
import torch
import zstandard
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from grpo.reporting.preference_pairs import preference_pairs
from tests.training.runs import (
    make_tiny_model,
    records,
    run_here,
    small_spec,
    write_sums,
)

ONE_STEP = {"budget": {"max_steps": 1}, "data": {"eval": None}}
Row = dict[str, Any]


@pytest.fixture
def run_one(tmp_path: Path) -> Callable[..., tuple[dict[str, float], list[Row]]]:
    """Return metrics and rollouts of a run's first step with some settings of the algorithm."""
    model, sums = make_tiny_model(tmp_path / "model"), write_sums(tmp_path / "sums.jsonl")

    def run_one(name: str = "run", /, **algorithm: Any) -> tuple[dict[str, float], list[Row]]:
        folder = run_here(small_spec(model, sums, algorithm=algorithm, **ONE_STEP), tmp_path / name)
        return records(folder, "metric")[0]["payload"], rollouts(folder)

    return run_one


def rollouts(folder: Path, step: int = 1) -> list[Row]:
    with (folder / f"rollouts/step-{step:06d}.jsonl.zst").open("rb") as file:
        text = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file)).read()
    return [json.loads(line) for line in text.splitlines()]


def by_group(rows: Sequence[Row]) -> list[list[Row]]:
    return [list(group) for _, group in groupby(rows, key=lambda row: row["group"])]


def distributions(folder: Path, rows: Sequence[Row]) -> list[tuple[Tensor, Tensor]]:
    """Return each completion's token ids [T] and the model's logprobs of all tokens [T, V]."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    found = []
    for row in rows:
        prompt = tokenizer(row["prompt"], add_special_tokens=False)["input_ids"]
        completion = tokenizer(row["text"], add_special_tokens=False)["input_ids"]
        if row["finish_reason"] == "stop":
            completion = [*completion, tokenizer.eos_token_id]
        assert len(completion) == row["num_tokens"]
        with torch.no_grad():
            logits = model(torch.tensor([prompt + completion])).logits[0]
        predicting = logits[len(prompt) - 1 : -1].log_softmax(dim=-1)
        found.append((torch.tensor(completion), predicting))
    return found


def entropies_of(folder: Path, rows: Sequence[Row]) -> list[Tensor]:
    """Return the exact entropy at each token of each completion."""
    return [-(logs.exp() * logs).sum(dim=-1) for _, logs in distributions(folder, rows)]


def logprobs_of(folder: Path, rows: Sequence[Row]) -> list[Tensor]:
    return [
        logs.gather(1, ids.unsqueeze(1)).squeeze(1) for ids, logs in distributions(folder, rows)
    ]


@pytest.mark.parametrize("policy", ["drop", "keep", "resample", "grow"])
def test_the_reward_is_estimated_from_the_first_siblings_of_all_groups(
    run_one: Callable[..., Any], policy: str
):
    metrics, rows = run_one(group_size=2, ties={"policy": policy})
    first = [[row for row in group if row["sibling"] < 2] for group in by_group(rows)]
    flat = [row for group in first for row in group]
    rewards = [[row["reward"] for row in group] for group in first]
    tied = [max(of_group) == min(of_group) for of_group in rewards]
    lengths = [row["num_tokens"] for row in flat]
    expected = {
        "reward": fmean(row["reward"] for row in flat),
        "reward_std": fmean(stdev(of_group) for of_group in rewards),
        "rewards/number/mean": fmean(row["rewards"]["number"] for row in flat),
        "rewards/number/std": stdev(row["rewards"]["number"] for row in flat),
        "pass_rate": fmean(row["reward"] == 1 for row in flat),
        "frac_reward_zero_std": fmean(tied),
        "groups/tied_fraction": fmean(tied),
        "groups/keep_rate": 1 - fmean(tied),
        "groups/all_right_fraction": fmean(min(of_group) == 1 for of_group in rewards),
        "groups/all_wrong_fraction": fmean(max(of_group) == 0 for of_group in rewards),
        "completions/mean_length": fmean(lengths),
        "completions/min_length": min(lengths),
        "completions/max_length": max(lengths),
        "completions/clipped_ratio": fmean(row["finish_reason"] == "length" for row in flat),
    }
    assert {name: metrics[name] for name in expected} == pytest.approx(expected)
    assert metrics["num_rollouts"] == len(rows)
    if policy == "grow":
        assert len(flat) < len(rows)
        grown = [{row["reward"] for row in group} for group in by_group(rows)]
        assert metrics["groups/grown_keep_rate"] == fmean(len(seen) > 1 for seen in grown)


def test_the_entropy_covers_all_completions_and_learnt_metrics_cover_contrasts(
    run_one: Callable[..., Any], tmp_path: Path
):
    metrics, rows = run_one(prompts_per_step=128, minibatches=1)
    exact = entropies_of(tmp_path / "model", rows)
    of_all = torch.cat(exact)
    # -log p of a token is its entropy on average: the mean's error is its deviation over sqrt(T).
    assert metrics["entropy"] == pytest.approx(of_all.mean().item(), abs=0.02)
    assert len(of_all) > 1000
    contrasting = torch.cat(
        [one for one, row in zip(exact, rows, strict=True) if row["outcome"] == "mixed"]
    )
    assert metrics["learnt/entropy"] == pytest.approx(contrasting.mean().item(), abs=1e-5)


def test_a_small_kl_penalty_on_the_reward_changes_nothing(
    run_one: Callable[..., Any], tmp_path: Path
):
    plain, plain_rows = run_one("plain")
    kl = {"beta": 1e-12, "where": "reward", "estimator": "k1"}
    metrics, rows = run_one("penalised", kl=kl)
    assert [row["outcome"] for row in rows] == [row["outcome"] for row in plain_rows]
    assert [row["reward"] for row in rows] == [row["reward"] for row in plain_rows]
    assert [row["advantage"] for row in rows] == pytest.approx(
        [row["advantage"] for row in plain_rows], abs=1e-9
    )
    assert metrics["loss"] == pytest.approx(plain["loss"], abs=1e-9)
    assert metrics["groups/tied_fraction"] == plain["groups/tied_fraction"]
    assert metrics["reward"] == plain["reward"]
    pairs = list(preference_pairs(tmp_path / "penalised"))
    assert pairs == list(preference_pairs(tmp_path / "plain"))
    assert pairs
    assert all(pair["reward_chosen"] > pair["reward_rejected"] for pair in pairs)


def test_exported_pairs_carry_the_messages_with_data_system_and_roles(tmp_path: Path):
    model = make_tiny_model(tmp_path / "model")
    asked = [
        {"role": "user", "content": "1+1="},
        {"role": "assistant", "content": "2"},
        {"role": "user", "content": "0+1="},
    ]
    data = tmp_path / "rows.jsonl"
    data.write_text(json.dumps({"messages": asked, "answer": "1"}) + "\n")
    settings = {
        **ONE_STEP,
        "data": {"eval": None, "messages": "messages", "system": "+", "max_prompt_tokens": 32},
    }
    folder = run_here(small_spec(model, data, **settings), tmp_path / "run")
    pairs = list(preference_pairs(folder))
    assert pairs
    for pair in pairs:
        assert pair["prompt"] == [{"role": "system", "content": "+"}, *asked]
        assert [*map(len, (pair["chosen"], pair["rejected"]))] == [1, 1]
        assert pair["chosen"][0]["role"] == pair["rejected"][0]["role"] == "assistant"


@pytest.mark.parametrize("patience", [None, 1])
def test_the_test_set_is_evaluated_once_at_the_end_and_chooses_nothing(
    tmp_path: Path, patience: int | None
):
    model, sums = make_tiny_model(tmp_path / "model"), write_sums(tmp_path / "sums.jsonl")
    tested = tmp_path / "tested.jsonl"
    tested.write_text(sums.read_text().split("\n")[0] + "\n")
    settings = {
        "data": {"test": str(tested)},
        "optimizer": {"learning_rate": 1e-12},
        "evaluation": {"every_steps": 1, "patience": patience, "limit": 1},
        "budget": {"max_steps": 2},
    }
    folder = run_here(small_spec(model, sums, **settings), tmp_path / "run")
    evaluations = [record["payload"] for record in records(folder, "eval")]
    with_test = [place for place, told in enumerate(evaluations) if "test/accuracy" in told]
    assert with_test == [len(evaluations) - 1]
    # The one prompt of both sets is the same: so are all of its numbers.
    last = evaluations[-1]
    ours = {name: value for name, value in last.items() if name.startswith("eval/")}
    assert {name.replace("eval/", "test/", 1): value for name, value in ours.items()} == {
        name: value for name, value in last.items() if name.startswith("test/")
    }


@pytest.mark.parametrize("truncated", ["keep", "mask"])
def test_clip_fractions_are_over_all_tokens_but_those_of_masked_completions(
    tmp_path: Path, truncated: str
):
    model, sums = make_tiny_model(tmp_path / "model"), write_sums(tmp_path / "sums.jsonl")

    def run(num_epochs: int) -> Path:
        algorithm = {"minibatches": 1, "epochs_per_batch": num_epochs, "truncated": truncated}
        settings = {**ONE_STEP, "optimizer": {"learning_rate": 2e-2}, "algorithm": algorithm}
        return run_here(small_spec(model, sums, **settings), tmp_path / str(num_epochs))

    once, twice = run(1), run(2)
    metrics, rows = records(twice, "metric")[0]["payload"], rollouts(twice)
    # In the second epoch the policy is what the first one left; in the first every ratio is 1.
    old = logprobs_of(model, rows)
    new = logprobs_of(once / "checkpoints/step-000001", rows)
    learnt = [truncated == "keep" or row["finish_reason"] == "stop" for row in rows]
    ratios = [(after - before).exp() for before, after in zip(old, new, strict=True)]
    seen = [
        (ratio, row["advantage"])
        for ratio, row, is_learnt in zip(ratios, rows, learnt, strict=True)
        if is_learnt
    ]
    num_tokens = sum(len(ratio) for ratio, _ in seen)
    low = sum(int((ratio < 0.8).sum()) for ratio, advantage in seen if advantage < 0)
    high = sum(int((ratio > 1.28).sum()) for ratio, advantage in seen if advantage > 0)
    assert low > 0
    assert metrics["clip_ratio/low_mean"] == pytest.approx(low / (2 * num_tokens))
    assert metrics["clip_ratio/high_mean"] == pytest.approx(high / (2 * num_tokens))
    assert metrics["clip_ratio/region_mean"] == pytest.approx((low + high) / (2 * num_tokens))


def test_the_learnt_kl_covers_contrasts_against_the_initial_policy(tmp_path: Path):
    model, sums = make_tiny_model(tmp_path / "model"), write_sums(tmp_path / "sums.jsonl")
    settings = {
        "algorithm": {"minibatches": 1, "kl": {"beta": 0.1}},
        "optimizer": {"learning_rate": 2e-2},
        "data": {"eval": None},
        "checkpoints": {"every_steps": 1},
        "budget": {"max_steps": 2},
    }
    folder = run_here(small_spec(model, sums, **settings), tmp_path / "run")
    rows = [row for row in rollouts(folder, 2) if row["outcome"] == "mixed"]
    policy = torch.cat(logprobs_of(folder / "checkpoints/step-000001", rows))
    difference = torch.cat(logprobs_of(model, rows)) - policy
    k3 = difference.exp() - difference - 1
    metrics = records(folder, "metric")[1]["payload"]
    assert metrics["learnt/kl"] == pytest.approx(k3.mean().item(), rel=1e-3)
    assert metrics["learnt/kl"] > 1e-4
