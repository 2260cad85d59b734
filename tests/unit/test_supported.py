"""Models that cannot be trained here are refused by their config, before anything is loaded."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import (
    DeepseekV3Config,
    GptOssConfig,
    GraniteMoeConfig,
    GraniteMoeHybridConfig,
    LlamaConfig,
    MixtralConfig,
    PreTrainedConfig,
    Qwen2Config,
    Qwen3MoeConfig,
)

from grpo.assembly import assemble
from grpo.errors import RunError
from grpo.models.context import read_config
from grpo.models.supported import check_supported
from grpo.spec.resolve import resolve
from tests.training.runs import make_tiny_model

AWQ = {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True}
GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 128}
FP8 = {"quant_method": "fp8", "weight_block_size": [128, 128]}
COMPRESSED = {"quant_method": "compressed-tensors", "format": "pack-quantized"}


def refusal(config: PreTrainedConfig) -> str:
    with pytest.raises(RunError) as caught:
        check_supported(config)
    assert caught.value.code == "model_unusable"
    assert not caught.value.retryable
    return caught.value.message


@pytest.mark.parametrize(
    "config",
    [
        MixtralConfig(),
        Qwen3MoeConfig(),
        GptOssConfig(),
        GraniteMoeConfig(num_local_experts=4),
        DeepseekV3Config(),
        PreTrainedConfig.from_dict({"ffn_config": {"moe_num_experts": 16}}),
        PreTrainedConfig.from_dict({"text_config": {"num_local_experts": 128}}),
        PreTrainedConfig.from_dict({"num_experts": [1, 64, 64]}),
    ],
    ids=lambda config: config.model_type or "nested",
)
def test_a_mixture_of_experts_is_refused_whatever_its_config_calls_them(config: PreTrainedConfig):
    assert "experts" in refusal(config)


@pytest.mark.parametrize("settings", [AWQ, GPTQ, FP8, COMPRESSED], ids=lambda s: s["quant_method"])
@pytest.mark.parametrize("nested", [False, True])
def test_quantised_weights_are_refused(settings: dict[str, Any], nested: bool, tmp_path: Path):
    written = {**LlamaConfig().to_dict(), "quantization_config": settings}
    if nested:
        text = {**Qwen2Config().to_dict(), "quantization_config": settings}
        written = {"model_type": "qwen2_5_vl", "text_config": text}
    (tmp_path / "config.json").write_text(json.dumps(written))
    assert f"quantized ({settings['quant_method']})" in refusal(read_config(tmp_path))


@pytest.mark.parametrize(
    "config",
    [Qwen2Config(), LlamaConfig(dtype="bfloat16"), GraniteMoeHybridConfig(num_local_experts=0)],
    ids=lambda config: config.model_type,
)
def test_dense_models_are_not(config: PreTrainedConfig):
    check_supported(config)


@pytest.mark.parametrize("change", [{"quantization_config": AWQ}, {"num_experts": 8}])
def test_a_run_is_refused_before_it_loads_weights_or_data(tmp_path: Path, change: dict[str, Any]):
    folder = make_tiny_model(tmp_path / "model")
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    (folder / "model.safetensors").write_bytes(b"never read")
    spec = resolve({"model": {"source": str(folder)}, "data": {"train": "/nowhere.jsonl"}})
    with pytest.raises(RunError) as caught:
        assemble(spec, model_folder=None, phase=lambda _: None)
    assert caught.value.code == "model_unusable"
