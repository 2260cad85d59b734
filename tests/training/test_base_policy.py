"""The built-in policy has room for learning, and its recipe reproduces it."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from grpo.builtin.catalogue import MODELS
from grpo.builtin.recipe import STEPS, byte_tokenizer, make_policy
from grpo.data.prompts import load_prompts
from grpo.evaluation.held_out import EvaluationStopped, evaluate
from grpo.rewards.exact import ExactReward
from grpo.rollout.engines.start import start_engine
from grpo.rollout.scorer import Scorer
from grpo.spec.data import Data
from grpo.spec.rollout import Evaluation, Rollout, Scoring

COMMITTED = MODELS["tiny-arithmetic"].folder
SAMPLED = Evaluation(samples=2, temperature=1.0, top_p=1.0, top_k=0)


def measure(folder: Path, *, limit: int, stop: bool = False) -> dict[str, float]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    engine = start_engine(
        "transformers",
        model_folder=folder,
        tokenizer=tokenizer,
        dtype="float32",
        max_model_tokens=96,
        max_batch=256,
        gpu_memory_fraction=0.3,
    )
    data = Data(eval="arithmetic-heldout", max_prompt_tokens=32)
    held_out = load_prompts(data.eval_sources, data=data, tokenizer=tokenizer, split="test")
    rewards = [ExactReward(type="exact", after="#")]
    return evaluate(
        engine,
        tokenizer,
        held_out.prompts,
        Scorer(rewards, Scoring(), allow_python=False),
        rewards=rewards,
        evaluation=SAMPLED.model_copy(update={"limit": limit}),
        rollout=Rollout(max_tokens=64),
        seed=0,
        stop=lambda: stop,
    )


def test_the_base_policy_is_right_between_a_quarter_and_half_of_the_time():
    measured = measure(COMMITTED, limit=256)
    assert 0.25 <= measured["eval/accuracy"] <= 0.50
    assert measured["eval/reward"] == measured["eval/accuracy"]  # one reward, of weight 1
    assert measured["eval/completions/clipped_ratio"] < 0.02
    assert (measured["eval/num_prompts"], measured["eval/samples"]) == (256, 2)


def test_an_evaluation_of_the_same_policy_gives_the_same_number():
    assert measure(COMMITTED, limit=32) == measure(COMMITTED, limit=32)


def test_an_evaluation_that_is_stopped_gives_no_number():
    with pytest.raises(EvaluationStopped):
        measure(COMMITTED, limit=32, stop=True)


def test_the_committed_tokenizer_is_the_recipes():
    committed = AutoTokenizer.from_pretrained(COMMITTED)
    assert committed.get_vocab() == byte_tokenizer().get_vocab()


@pytest.mark.nightly
@pytest.mark.timeout(1200)
def test_the_recipe_still_makes_such_a_policy(tmp_path: Path):
    make_policy(tmp_path, steps=STEPS)
    assert 0.25 <= measure(tmp_path, limit=256)["eval/accuracy"] <= 0.50
