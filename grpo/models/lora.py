"""Low-rank adapters with peft: adding, merging, saving and continuing them."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import Module
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from grpo.errors import RunError
from grpo.models.four_bits import dequantized, quantized_weights
from grpo.models.locate import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from grpo.runtime.out_of_memory import is_out_of_memory
from grpo.seeds import derive_seed
from grpo.spec.model import Lora, Model

NAME = "default"  # peft's default name of an adapter
QUANTIZATION = re.compile(r"\.weight\.(nested_)?(absmax|quant_map|quant_state)(\.|$)")
BASE, ADDED = ".base_layer", ".lora_"  # in peft's names of a wrapped layer and of its adapter


def add_adapter(model: PreTrainedModel, lora: Lora, *, seed: int) -> PeftModel:
    """Freeze the model and add an adapter that initially has no effect.

    Raises:
        RunError: `model_unusable`, if a target matches no layer, or a targeted head is tied to the
            embeddings.
    """
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.rank,
        lora_alpha=lora.alpha,  # pyright: ignore[reportArgumentType] - only divided by r
        lora_dropout=0.0,
        target_modules=lora.targets,
    )
    _check_each_target(model, lora)
    _check_tied(model, lora)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "adapter"))
        try:
            adapted = get_peft_model(model, config)
        except ValueError as error:
            raise _wrong_targets(f"model.lora.targets: {error}") from error
    assert isinstance(adapted, PeftModel)
    return adapted


def continue_adapter(model: PreTrainedModel, folder: Path) -> PeftModel:
    """Load a saved adapter into the model, whose weights stay frozen, for further training.

    Raises:
        RunError: `model_unusable`.
    """
    try:
        return PeftModel.from_pretrained(model, folder, is_trainable=True)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        if is_out_of_memory(error):
            raise
        raise RunError(
            "model_unusable",
            f"the adapter in {folder} does not load: {error}",
            hint="Use a folder that peft loads, with the base that the adapter was trained on.",
        ) from error


def merge_adapter(model: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """Merge a saved adapter into the model's weights, in place, and unfreeze them."""
    merged = continue_adapter(model, folder).merge_and_unload()  # pyright: ignore[reportCallIssue]
    return merged.requires_grad_(True)


def write_adapter(folder: Path, adapted: PeftModel, base: Model) -> None:
    """Write peft's adapter folder, with sorted keys, so that equal adapters give equal files."""
    weights = get_peft_model_state_dict(adapted, save_embedding_layers=False)
    contiguous = {name: weight.contiguous() for name, weight in weights.items()}
    save_file(contiguous, folder / ADAPTER_WEIGHTS, metadata={"format": "pt"})
    config = adapted.peft_config[NAME].to_dict()
    config |= {
        "base_model_name_or_path": base.source,
        "revision": base.revision,
        "inference_mode": True,
    }
    text = json.dumps(config, indent=1, sort_keys=True, default=sorted)
    (folder / ADAPTER_CONFIG).write_text(text)


class MergedWeights(Mapping[str, Tensor]):
    """A model's `state_dict()` under the base's names, with the adapter's updates added.

    A sum is computed on each access and not kept: there is no second copy of the model in memory,
    and the base stays bit-identical.
    """

    def __init__(self, model: Module) -> None:
        in_4_bits = quantized_weights(model)
        # A weight in 4 bits is followed by its scales, as `<its name>.absmax`.
        self._weights: dict[str, Tensor] = {
            _own_name(name): weight
            for name, weight in (dict(model.state_dict()) | in_4_bits).items()
            if ADDED not in name and not QUANTIZATION.search(name)
        }
        self._in_4_bits = set(map(_own_name, in_4_bits))
        self._adapted = {
            f"{name}.weight": layer
            for name, layer in model.named_modules()
            if isinstance(layer, LoraLayer)
        }

    @property
    def shapes(self) -> Mapping[str, torch.Size]:
        """Shapes of the weights, found without computing sums."""
        return {
            name: weight.quant_state.shape if name in self._in_4_bits else weight.shape  # pyright: ignore[reportAttributeAccessIssue]
            for name, weight in self._weights.items()
        }

    @torch.no_grad()
    def __getitem__(self, name: str) -> Tensor:
        weight = self._weights[name]
        if name in self._in_4_bits:
            weight = dequantized(weight)
        if name not in self._adapted:
            return weight
        update: Tensor = self._adapted[name].get_delta_weight(NAME)  # pyright: ignore[reportAttributeAccessIssue]
        return weight + update

    def __iter__(self) -> Iterator[str]:
        return iter(self._weights)

    def __len__(self) -> int:
        return len(self._weights)


def _own_name(name: str) -> str:
    """Return a weight's name in the base."""
    return name.replace(f"{BASE}.", ".")


def _check_each_target(model: PreTrainedModel, lora: Lora) -> None:
    """Refuse targets that match no layer; peft silently ignores them if another target matches."""
    if lora.targets == "all-linear":
        return
    kinds = (nn.Linear, nn.Embedding, Conv1D)  # GPT-2's linear layers are of the last kind
    names = [name for name, module in model.named_modules() if isinstance(module, kinds)]
    missing = [
        target
        for target in lora.targets
        if not any(f".{name}".endswith(f".{target}") for name in names)
    ]
    if missing:
        ends = ", ".join(dict.fromkeys(name.rpartition(".")[2] for name in names))
        raise _wrong_targets(
            f"model.lora.targets: no linear layer is named {', '.join(map(repr, missing))}; "
            f"the model has {ends}"
        )


def _check_tied(model: PreTrainedModel, lora: Lora) -> None:
    """Refuse to adapt only the head or only the embeddings if they share one tensor."""
    if lora.targets == "all-linear" or not model.config.get_text_config().tie_word_embeddings:
        return
    tied = {id(model.get_output_embeddings()), id(model.get_input_embeddings())}
    for name, module in model.named_modules():
        if id(module) in tied and any(f".{name}".endswith(f".{end}") for end in lora.targets):
            raise _wrong_targets(f"{name} shares its weights between the head and the embeddings")


def _wrong_targets(message: str) -> RunError:
    return RunError(
        "model_unusable",
        message,
        hint="Name linear layers of the model in model.lora.targets, or use all-linear.",
    )
