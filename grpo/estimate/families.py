"""The layers of each family of models whose memory is counted, as transformers builds them.

`tests/training/test_dry_run.py` compares the count of each with the architecture itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Norm = Literal["rms", "rms_float32", "layer"]
"""rms_float32: the product with its weight is in float32 as well, as in Gemma's and OLMo's."""


@dataclass(frozen=True)
class Bias:
    """Whether linear maps have a bias: as a field of the config says, or as it is in the family."""

    setting: str | None = None
    default: bool = False

    def read(self, config: Mapping[str, Any]) -> bool:
        return (
            self.default if self.setting is None else bool(config.get(self.setting, self.default))
        )


NONE, ALWAYS, ATTENTION, MLP = Bias(), Bias(default=True), Bias("attention_bias"), Bias("mlp_bias")


@dataclass(frozen=True)
class Family:
    """A family's layer, where it differs from Llama's."""

    num_norms: int = 2
    """Norms per layer, except of queries and keys; beyond two, they norm a block's output."""
    parallel: bool = False
    """Attention and MLP read the same input."""
    norm: Norm = "rms"
    head_norms: Literal["each", "all"] | None = None
    """Queries and keys are normed, each head by itself or all together."""
    queries: tuple[str, ...] = ("q_proj", "k_proj", "v_proj")
    """Names of the maps to queries, keys and values; one name: one map."""
    copies_output: bool = False
    """Attention's output is copied, since its queries were put together from parts."""
    output: str = "o_proj"
    up: tuple[str, ...] = ("gate_proj", "up_proj")
    """Names of the MLP's maps from the hidden width; gated: two maps, or one of both widths."""
    down: str = "down_proj"
    gated: bool = True
    query_bias: Bias = ATTENTION
    output_bias: Bias = ATTENTION
    mlp_bias: Bias = NONE
    head_bias: bool = False
    tied: bool = False
    """Default of configs that omit it, like `activation`."""
    activation: str = ""


FUSED_GATE = ("gate_up_proj",)
USE_BIAS = Bias("use_bias", default=True)

FAMILIES: Mapping[str, Family] = {
    "qwen2": Family(query_bias=ALWAYS, output_bias=NONE),
    "qwen3": Family(head_norms="each"),
    "llama": Family(mlp_bias=MLP),
    "mistral": Family(query_bias=NONE, output_bias=NONE),
    "phi3": Family(
        queries=("qkv_proj",),
        copies_output=True,
        up=FUSED_GATE,
        query_bias=NONE,
        output_bias=NONE,
    ),
    "gemma3_text": Family(num_norms=4, norm="rms_float32", head_norms="each", tied=True),
    "granite": Family(mlp_bias=MLP),
    "glm4": Family(
        num_norms=4,
        copies_output=True,
        up=FUSED_GATE,
        query_bias=Bias("attention_bias", default=True),
        output_bias=NONE,
    ),
    "olmo2": Family(norm="rms_float32", head_norms="all"),
    "smollm3": Family(mlp_bias=MLP, tied=True),
    "starcoder2": Family(
        norm="layer",
        up=("c_fc",),
        down="c_proj",
        gated=False,
        query_bias=USE_BIAS,
        output_bias=USE_BIAS,
        mlp_bias=USE_BIAS,
        tied=True,
    ),
    "gpt_neox": Family(
        norm="layer",
        parallel=True,
        copies_output=True,
        queries=("query_key_value",),
        output="dense",
        up=("dense_h_to_4h",),
        down="dense_4h_to_h",
        gated=False,
        query_bias=Bias("attention_bias", default=True),
        output_bias=Bias("attention_bias", default=True),
        mlp_bias=ALWAYS,
    ),
    "phi": Family(
        num_norms=1,
        parallel=True,
        norm="layer",
        copies_output=True,
        output="dense",
        up=("fc1",),
        down="fc2",
        gated=False,
        query_bias=ALWAYS,
        output_bias=ALWAYS,
        mlp_bias=ALWAYS,
        head_bias=True,
        activation="gelu_new",
    ),
}
OTHER = Family()
"""Assumed of a family that is not listed."""
