"""Where a model's files are: a built-in model, a folder, or a hub id."""

from pathlib import Path

from huggingface_hub import snapshot_download
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerBase

from grpo.builtin.catalogue import model_folder
from grpo.errors import RunError
from grpo.spec.model import Model

WEIGHTS = ("*.safetensors", "*.bin")
HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]


def locate_model(model: Model) -> Path:
    """The folder of the model's files; a hub model is fetched first.

    Raises:
        RunError: `model_unusable`, when there is no such model or it has no config or weights.
    """
    folder = model_folder(model.source) or Path(model.source)
    if not folder.is_dir():
        folder = _fetch(model)
    if not (folder / "config.json").is_file():
        raise _unusable(f"{model.source} has no config.json")
    if not any(path for pattern in WEIGHTS for path in folder.glob(pattern)):
        raise _unusable(f"{model.source} has no weights")
    return folder


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """
    Raises:
        RunError: `model_unusable`.
    """
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise _unusable(f"the tokenizer in {folder} does not load: {error}") from error


def context_tokens(folder: Path) -> int:
    """The longest prompt and completion together that the model can read [tokens].

    Raises:
        RunError: `model_unusable`.
    """
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise _unusable(f"the config in {folder} does not load: {error}") from error
    return config.get_text_config().max_position_embeddings


def _fetch(model: Model) -> Path:
    if Path(model.source).is_absolute():
        raise _unusable(f"there is no folder {model.source}")
    try:
        return Path(
            snapshot_download(model.source, revision=model.revision, allow_patterns=HUB_FILES)
        )
    except (OSError, ValueError) as error:
        raise _unusable(f"{model.source} cannot be fetched from the hub: {error}") from error


def _unusable(message: str) -> RunError:
    return RunError(
        "model_unusable",
        message,
        hint="Give a built-in model's name, a folder with config.json, safetensors weights and a "
        "tokenizer, or the id of a hub model that this machine can reach.",
    )
