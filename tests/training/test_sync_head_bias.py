"""A head's bias, which vLLM replaces each time it loads one."""

from collections.abc import Iterator
from contextlib import closing

import pytest
import torch
from transformers import PhiConfig, PhiForCausalLM, PreTrainedModel

from grpo.rollout.engines.engine import RolloutEngine
from tests.training.engines import move, started_engine
from tests.training.runs import CHARACTERS, make_tiny_model

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.timeout(400),  # the first start of vLLM on a machine is slow
    pytest.mark.filterwarnings("ignore"),
]
BIAS = "lm_head.bias"


@pytest.fixture(scope="module")
def started(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[RolloutEngine, PreTrainedModel]]:
    """vLLM, which runs Phi by transformers' classes, and its model."""
    folder = make_tiny_model(tmp_path_factory.mktemp("model"))  # for its tokenizer
    torch.manual_seed(0)
    config = PhiConfig(
        vocab_size=len(CHARACTERS) + 1,
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=64,
        bos_token_id=None,
        eos_token_id=len(CHARACTERS),
    )
    model = PhiForCausalLM(config).eval()
    model.save_pretrained(folder)
    engine = started_engine(folder)
    with closing(engine):
        yield engine, model


def test_a_bias_that_arrived_is_compared(started: tuple[RolloutEngine, PreTrainedModel]):
    engine, model = started
    assert engine.stale_weights(model.state_dict(), names=None) == []
    for _ in range(2):
        move(model)
        engine.load_weights(model.state_dict())
        assert engine.stale_weights(model.state_dict(), names=None) == []
        assert engine.stale_weights(model.state_dict(), names=[BIAS]) == []


def test_a_bias_that_stays_behind_is_named(started: tuple[RolloutEngine, PreTrainedModel]):
    engine, model = started
    before = model.state_dict()[BIAS].clone()
    move(model)
    after = model.state_dict()
    engine.load_weights({**after, BIAS: before})
    assert engine.stale_weights(after, names=None) == [f"{BIAS} in {BIAS}"]
    engine.load_weights(after)
    without = {name: weight for name, weight in after.items() if name != BIAS}
    (named,) = engine.stale_weights(without, names=None)
    assert named == f"{BIAS} in the engine, which did not receive all its weights"
