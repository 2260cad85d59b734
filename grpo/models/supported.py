"""Refusal, before training, of models whose weights the trainer or an engine cannot handle."""

from collections.abc import Iterator, Mapping
from typing import Any

from transformers import PreTrainedConfig

from grpo.errors import RunError

QUANTIZED = ("quantization_config", "compression_config")


def check_supported(config: PreTrainedConfig) -> None:
    """
    Raises:
        RunError: `model_unusable`: the weights are quantized, or the model is a mixture of experts.
    """
    fields = config.to_dict()
    method = _quantization(fields)
    if method is not None:
        raise RunError(
            "model_unusable",
            f"the model's weights are quantized ({method}): they cannot be trained, and the engine "
            "could not load the trained weights",
            hint="Choose the same model in float32, bfloat16 or float16.",
        )
    num_experts = max(_expert_counts(fields), default=0)
    if num_experts > 1:
        raise RunError(
            "model_unusable",
            f"{config.model_type} is a mixture of {num_experts} experts, which is not supported: "
            "its memory cannot be estimated, and for some families the weight sync fails",
            hint="Choose a dense model, such as Qwen2.5, Qwen3 up to 32B, Llama or Mistral.",
        )


def _quantization(fields: Mapping[str, Any]) -> str | None:
    """Return the quantization method of the weights, as stated in the config."""
    for section in _sections(fields):
        for name in QUANTIZED:
            if settings := section.get(name):
                named = settings if isinstance(settings, dict) else {}
                return str(named.get("quant_method") or named.get("format") or name)
        dtype = str(section.get("dtype") or section.get("torch_dtype") or "")
        if "float8" in dtype or "int" in dtype:
            return dtype
    return None


def _expert_counts(fields: Mapping[str, Any]) -> Iterator[int]:
    """Yield the numbers of experts, which each model family names differently."""
    for section in _sections(fields):
        for name, value in section.items():
            if "experts" in name and "per_tok" not in name:
                counts = value if isinstance(value, list) else [value]
                yield from (n for n in counts if isinstance(n, int) and not isinstance(n, bool))


def _sections(fields: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield a config and the configs in it, such as `text_config`."""
    yield fields
    for name, value in fields.items():
        if name.endswith("_config") and name not in QUANTIZED and isinstance(value, dict):
            yield from _sections(value)
