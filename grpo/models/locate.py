"""Locations of a model's files: a built-in model, a folder, an adapter's folder, or a hub id."""

import json
from collections.abc import Collection
from pathlib import Path

from httpx2 import TransportError  # raised through by huggingface_hub
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import OfflineModeIsEnabled
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from grpo.builtin.catalogue import model_folder
from grpo.data.source_ref import Kind, is_hub_id, model_ref
from grpo.errors import RunError
from grpo.models.model_folder import ADAPTER_CONFIG, CONFIG, base_of, check_names
from grpo.runtime.hub_failure import HubClientUnusable, check_hub_client, hub_reason
from grpo.runtime.plain_files import FolderRefused, check_links, home_of
from grpo.spec.model import Model

ADAPTER_WEIGHTS = "adapter_model.safetensors"
WEIGHTS = "*.safetensors"  # no other kind: loading one can run its author's code
HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]
ANSWER_SECONDS = 10.0  # how long the hub may take to answer a question
HINT = (
    "Give a built-in model's name, a folder with config.json, safetensors weights and a tokenizer, "
    "a folder with an adapter, or the id of a hub model that this machine can reach."
)


def locate_model(model: Model) -> Path:
    """Return the folder of the model's files, whole or an adapter; a hub model is fetched first.

    Raises:
        RunError: `model_unusable`, when the model does not exist or lacks its config or weights.
    """
    folder = model_folder(model.source) or Path(model.source)
    try:
        if not folder.is_dir():
            folder = _fetched(model)
        check_names(folder)
    except FolderRefused as refused:
        raise _unusable(f"{model.source} is not loaded: {refused}") from refused
    if is_adapter(folder):
        if not (folder / ADAPTER_WEIGHTS).is_file():
            raise _unusable(f"{model.source} has no {ADAPTER_WEIGHTS}")
        return folder
    if not (folder / CONFIG).is_file():
        raise _unusable(f"{model.source} has no {CONFIG}")
    if not any(folder.glob(WEIGHTS)):
        raise _unusable(f"{model.source} has no weights ({WEIGHTS})")
    return folder


def check_bases(folder: Path, *, owners: Collection[str]) -> None:
    """
    Args:
        owners: the hub owners, in lower case, whose models an adapter may use as its base.

    Raises:
        RunError: `source_not_allowed`, when an adapter names another's; `model_unusable`.
    """
    while is_adapter(folder):
        base = _named_base(folder)
        local = model_folder(base) or Path(base)
        owner = base.partition("/")[0].lower()
        if not local.is_dir() and owner not in owners:
            raise RunError(
                "source_not_allowed",
                f"the adapter's base {base!r} is a hub model that is not allowed on this server",
                hint="Choose another adapter, or ask the server's operator to allow its base.",
            )
        folder = adapter_base(folder)


def is_adapter(folder: Path) -> bool:
    """Whether the folder holds an adapter, which needs a base."""
    return (folder / ADAPTER_CONFIG).is_file() and not (folder / CONFIG).is_file()


def adapter_base(folder: Path) -> Path:
    """Return the folder that an adapter was trained on, which can be an adapter's itself.

    Raises:
        RunError: `model_unusable`.
    """
    source = _named_base(folder)
    config = json.loads((folder / ADAPTER_CONFIG).read_text())
    try:
        return locate_model(Model(source=source, revision=config.get("revision")))
    except RunError as error:
        raise _unusable(f"the base of the adapter in {folder}: {error.message}") from error


def _named_base(folder: Path) -> str:
    try:
        base = base_of(folder)
    except FolderRefused as refused:
        raise _unusable(f"the adapter in {folder} is not loaded: {refused}") from refused
    if base is None:
        raise _unusable(f"{folder / ADAPTER_CONFIG} names no base_model_name_or_path")
    return base


def whole_model(folder: Path) -> Path:
    """Return the folder itself; for an adapter, the folder of the whole model under it.

    Raises:
        RunError: `model_unusable`.
    """
    return whole_model(adapter_base(folder)) if is_adapter(folder) else folder


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """
    Raises:
        RunError: `model_unusable`.
    """
    if is_adapter(folder) and not (folder / "tokenizer_config.json").is_file():
        return load_tokenizer(adapter_base(folder))
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise _unusable(f"the tokenizer in {folder} does not load: {error}") from error


def _fetched(model: Model) -> Path:
    """Fetch a hub model's folder, whose links and bases stay within its cache and the hub.

    Raises:
        RunError: `model_unusable`.
        FolderRefused: a link in it points elsewhere.
    """
    folder = _fetch(model)
    home = home_of(folder)
    check_links(folder, lambda target: target.is_relative_to(home))
    base = base_of(folder)
    if base is not None and not is_hub_id(base):
        raise _unusable(f"the adapter {model.source} has the base {base!r}, which is not a hub id")
    return folder


def _fetch(model: Model) -> Path:
    """Return the hub's files, or the cached ones where the hub does not answer in time."""
    if model_ref(model.source).kind is Kind.PATH:
        raise _unusable(f"there is no folder {model.source}")
    try:
        check_hub_client()
        # Checked first, since a download waits for a silent hub without end.
        HfApi().model_info(model.source, revision=model.revision, timeout=ANSWER_SECONDS)
        return _download(model)
    except (TransportError, OfflineModeIsEnabled, HubClientUnusable) as silence:
        return _downloaded_before(model, silence)
    except (OSError, ValueError) as error:
        raise _unusable(_not_fetched(model, error)) from error


def _downloaded_before(model: Model, silence: Exception) -> Path:
    try:
        return _download(model, local_files_only=True)
    except (OSError, ValueError):
        raise _unusable(
            _not_fetched(model, silence),
            hint=f"Check the id and this machine's network; or run `hf download {model.source} "
            "--local-dir DIR` where the hub can be reached, and give DIR as model.source.",
        ) from silence


def _download(model: Model, *, local_files_only: bool = False) -> Path:
    return Path(
        snapshot_download(
            model.source,
            revision=model.revision,
            allow_patterns=HUB_FILES,
            local_files_only=local_files_only,
        )
    )


def _not_fetched(model: Model, error: Exception) -> str:
    return (
        f"{model.source} is neither a built-in model nor a folder, and cannot be fetched from the "
        f"hub: {hub_reason(error)}"
    )


def _unusable(message: str, *, hint: str = HINT) -> RunError:
    return RunError("model_unusable", message, hint=hint)
