"""Shapes of well-known models, as their config.json states them; their weights are not needed."""

from typing import Any


def _model(kind: str, vocabulary: int, hidden: int, inner: int, layers: int, heads: int, kv: int):  # noqa: ANN202
    return {
        "model_type": kind,
        "vocab_size": vocabulary,
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv,
        "max_position_embeddings": 32768,
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
    }


TIED = {"tie_word_embeddings": True}
MODELS: dict[str, dict[str, Any]] = {
    "Qwen2.5-0.5B": _model("qwen2", 151936, 896, 4864, 24, 14, 2) | TIED,
    "Qwen2.5-1.5B": _model("qwen2", 151936, 1536, 8960, 28, 12, 2) | TIED,
    "Qwen2.5-3B": _model("qwen2", 151936, 2048, 11008, 36, 16, 2) | TIED,
    "Qwen2.5-7B": _model("qwen2", 152064, 3584, 18944, 28, 28, 4),
    "Llama-3.1-8B": _model("llama", 128256, 4096, 14336, 32, 32, 8),
    "Qwen2.5-32B": _model("qwen2", 152064, 5120, 27648, 64, 40, 8),
}
