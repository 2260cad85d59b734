"""Cases: models of several shapes, and settings that change memory use.

TRAINING cases are only the policy's updates, RUNS whole runs of `python -m grpo`.  The model of
`grpo.estimate.memory` was fixed before the held-back cases were measured.
"""

from dataclasses import dataclass
from typing import Any


def qwen2(
    vocabulary: int, hidden: int, inner: int, layers: int, heads: int, kv_heads: int, **more: object
) -> dict[str, Any]:
    return {
        "model_type": "qwen2",
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": True,
        **more,
    }


def rows(num: int, prompt: int, completion: int, **more: object) -> dict[str, Any]:
    """Return a spec whose updates train on so many completions of prompts of that length."""
    return {
        "algorithm": {"group_size": 2, "prompts_per_step": num // 2},
        "data": {"max_prompt_tokens": prompt},
        "rollout": {"max_tokens": completion},
        **more,
    }


def run(
    engine: str, num_prompts: int = 0, prompt: int = 0, completion: int = 0, **algorithm: object
) -> dict[str, Any]:
    """Return a spec of a few steps on the built-in data; 0 means the preset's size."""
    spec: dict[str, Any] = {"rollout": {"engine": engine}, "budget": {"max_steps": 4}}
    if num_prompts:
        spec["rollout"] |= {"max_tokens": completion}
        spec["algorithm"] = {
            "prompts_per_step": num_prompts,
            "ties": {"policy": "keep"},
            **algorithm,
        }
        spec["data"] = {"train": "arithmetic", "max_prompt_tokens": prompt}
    return spec


@dataclass(frozen=True)
class Case:
    """Config of a random model; None: the spec's model."""

    spec: dict[str, Any]
    config: dict[str, Any] | None = None
    held_back: bool = False


TINY = qwen2(258, 256, 512, 4, 4, 2)
SMALL = qwen2(16384, 512, 1536, 6, 8, 2)
LARGE = qwen2(50000, 640, 1792, 12, 10, 5)
WIDE = qwen2(32000, 384, 1024, 2, 6, 6, tie_word_embeddings=False)
LLAMA = {**qwen2(8000, 320, 1280, 8, 5, 5), "model_type": "llama"}
DEEP = qwen2(258, 256, 768, 16, 4, 4)
QWEN3 = {**qwen2(24000, 448, 1216, 5, 7, 7, head_dim=64), "model_type": "qwen3"}

TRAINING = {
    "tiny, one micro-batch": Case(rows(64, 16, 32), TINY),
    "tiny, several": Case(rows(128, 16, 32), TINY),
    "tiny, bfloat16": Case(rows(128, 16, 32, model={"dtype": "bfloat16"}), TINY),
    "26 M": Case(rows(16, 64, 128), SMALL),
    "26 M, several": Case(rows(32, 64, 128), SMALL),
    "88 M": Case(rows(4, 32, 96), LARGE),
    "28 M, untied": Case(rows(8, 32, 224), WIDE),
    "26 M, adapter": Case(rows(16, 64, 128, model={"lora": {"rank": 16}}), SMALL),
    "26 M, checkpointing": Case(rows(16, 64, 128, model={"gradient_checkpointing": True}), SMALL),
    "26 M, checkpointing, bfloat16": Case(
        rows(16, 64, 128, model={"gradient_checkpointing": True, "dtype": "bfloat16"}), SMALL
    ),
    "15 M, checkpointing, several": Case(
        rows(64, 32, 64, model={"gradient_checkpointing": True}), LLAMA
    ),
    "15 M, Llama": Case(rows(40, 32, 64), LLAMA),
    "15 M, Llama, several": Case(rows(64, 32, 64), LLAMA),
    "26 M, Qwen3, bfloat16": Case(rows(24, 40, 88, model={"dtype": "bfloat16"}), QWEN3),
    "28 M, adapter on q and v": Case(
        rows(32, 32, 64, model={"lora": {"rank": 8, "targets": ["q_proj", "v_proj"]}}),
        WIDE,
    ),
    "15 M, checkpointing, bfloat16": Case(
        rows(60, 16, 48, model={"gradient_checkpointing": True, "dtype": "bfloat16"}),
        LLAMA,
    ),
    "12 M, checkpointing": Case(
        rows(40, 24, 104, model={"gradient_checkpointing": True}), DEEP, held_back=True
    ),
    "28 M, checkpointing, bfloat16": Case(
        rows(24, 24, 104, model={"gradient_checkpointing": True, "dtype": "bfloat16"}),
        WIDE,
        held_back=True,
    ),
    "26 M, Qwen3, adapter": Case(
        rows(80, 24, 72, model={"lora": {"rank": 32}}), QWEN3, held_back=True
    ),
    "12 M, deep": Case(rows(40, 24, 104), DEEP, held_back=True),
}

RUNS = {
    "demo, transformers": Case({"preset": "demo", **run("transformers")}),
    "demo, vLLM": Case({"preset": "demo", **run("vllm")}),
    "tiny, transformers": Case(run("transformers", 128, 24, 64), TINY),
    "26 M, transformers": Case(run("transformers", 64, 24, 40), SMALL),
    "15 M, Llama, transformers": Case(run("transformers", 32, 24, 104), LLAMA),
    "12 M, transformers, reference": Case(run("transformers", 64, 24, 40, kl={"beta": 0.04}), DEEP),
    "28 M, untied, transformers": Case(run("transformers", 48, 24, 72), WIDE, held_back=True),
    "26 M, Qwen3, transformers": Case(run("transformers", 96, 24, 40), QWEN3, held_back=True),
    "26 M, vLLM": Case(run("vllm", 32, 24, 40), SMALL, held_back=True),
    "12 M, vLLM, adapter": Case(run("vllm", 48, 24, 64) | {"model": {"lora": {"rank": 16}}}, DEEP),
    "15 M, Llama, vLLM": Case(run("vllm", 64, 24, 72), LLAMA, held_back=True),
}
