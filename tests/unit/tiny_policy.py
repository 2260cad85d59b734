"""A real policy with a few thousand fixed random weights."""

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from grpo.models.policy import Policy, Precision

VOCABULARY = 50


def tiny_policy(*, dropout: float = 0.0, precision: Precision = "float32") -> Policy:
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=True,
        attention_dropout=dropout,
    )
    return Policy(Qwen2ForCausalLM(config).eval(), precision=precision)
