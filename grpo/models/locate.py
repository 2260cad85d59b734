"""Locations of a model's files: a built-in model, a folder, an adapter's folder, or a hub id."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from httpx2 import TransportError  # passed through by huggingface_hub
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import OfflineModeIsEnabled
from pydantic import ValidationError
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from grpo.builtin.catalogue import model_folder
from grpo.data.source_ref import Kind, is_hub_id, model_ref
from grpo.errors import RunError
from grpo.models.model_folder import ADAPTER_CONFIG, CONFIG, base_of, check_names
from grpo.runtime.hub_failure import HubClientUnusable, check_hub_client, hub_reason
from grpo.runtime.plain_files import FolderRefused, check_links, home_of
from grpo.spec.model import Model
from grpo.values.field_errors import in_words

ADAPTER_WEIGHTS = "adapter_model.safetensors"
WEIGHTS = "*.safetensors"  # the only format: loading others can run their author's code
HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]
ANSWER_SECONDS = 10.0  # timeout of a metadata request to the hub
HINT = (
    "Give a built-in model's name, a folder with config.json, safetensors weights and a tokenizer, "
    "a folder with an adapter, or the id of a hub model that this machine can reach."
)


@dataclass(frozen=True)
class ModelFolder:
    """A model on this machine: the folder of a whole model, or an adapter's with its base."""

    path: Path
    base: "ModelFolder | None" = None

    @property
    def whole(self) -> Path:
        """The folder of the whole model below all adapters."""
        return self.path if self.base is None else self.base.whole

    def load_tokenizer(self) -> PreTrainedTokenizerBase:
        """Load the tokenizer; an adapter without a tokenizer uses its base's.

        Raises:
            RunError: `model_unusable`.
        """
        if self.base is not None and not (self.path / "tokenizer_config.json").is_file():
            return self.base.load_tokenizer()
        try:
            return AutoTokenizer.from_pretrained(self.path, local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            raise _unusable(f"the tokenizer in {self.path} does not load: {error}") from error


def locate_model(model: Model, *, hub_owners: Collection[str] | None = None) -> ModelFolder:
    """Return the model's folder, with the bases of an adapter; hub models are fetched first.

    Args:
        hub_owners: the hub owners, in lower case, whose models an adapter may use as its base;
            None: all owners.

    Raises:
        RunError: `model_unusable`, if the model or a base does not exist or lacks its config or
            weights; `source_not_allowed`, if an adapter names another owner's base.
    """
    return _with_bases(_located(model), hub_owners, ())


def open_folder(path: Path, *, hub_owners: Collection[str] | None = None) -> ModelFolder:
    """Return the model of a folder that is known to hold one, such as a checkpoint's.

    Raises:
        RunError: as in `locate_model`, for the bases of an adapter.
    """
    return _with_bases(path, hub_owners, ())


def _located(model: Model) -> Path:
    """Return the folder of a whole model's or an adapter's files; a hub model is fetched first.

    Raises:
        RunError: `model_unusable`.
    """
    folder = model_folder(model.source) or Path(model.source)
    try:
        if not folder.is_dir():
            folder = _fetched(model)
        check_names(folder)
    except FolderRefused as refused:
        raise _unusable(f"{model.source} was refused: {refused}") from refused
    if _is_adapter(folder):
        if not (folder / ADAPTER_WEIGHTS).is_file():
            raise _unusable(f"{model.source} has no {ADAPTER_WEIGHTS}")
        return folder
    if not (folder / CONFIG).is_file():
        raise _unusable(f"{model.source} has no {CONFIG}")
    if not any(folder.glob(WEIGHTS)):
        raise _unusable(f"{model.source} has no weights ({WEIGHTS})")
    return folder


def _with_bases(
    path: Path, hub_owners: Collection[str] | None, above: tuple[Path, ...]
) -> ModelFolder:
    """Return a folder with its bases; `above`: the adapters built on it."""
    if not _is_adapter(path):
        return ModelFolder(path)
    if path.resolve() in above:
        raise _unusable(
            f"the adapter in {path} is its own base, directly or through other adapters"
        )
    source = _named_base(path)
    if hub_owners is not None:
        _check_owner(source, hub_owners)
    try:
        base = _located(_base_model(path, source))
        return ModelFolder(path, _with_bases(base, hub_owners, (*above, path.resolve())))
    except RunError as error:
        if error.code != "model_unusable":
            raise
        raise _unusable(f"the base of the adapter in {path}: {error.message}") from error


def _base_model(adapter: Path, source: str) -> Model:
    """
    Raises:
        RunError: `model_unusable`, if the adapter's config has no valid name or revision.
    """
    revision = json.loads((adapter / ADAPTER_CONFIG).read_text("utf-8")).get("revision")
    try:
        return Model(source=source, revision=revision)
    except ValidationError as error:
        first = error.errors()[0]
        field = "revision" if first["loc"] == ("revision",) else "base_model_name_or_path"
        raise _unusable(f"its {ADAPTER_CONFIG} has an invalid {field}: {in_words(first)}") from None


def _check_owner(base: str, hub_owners: Collection[str]) -> None:
    """
    Raises:
        RunError: `source_not_allowed`, for a hub model of another owner.
    """
    local = model_folder(base) or Path(base)
    if not local.is_dir() and base.partition("/")[0].lower() not in hub_owners:
        raise RunError(
            "source_not_allowed",
            f"the adapter's base {base!r} is a hub model that is not allowed on this server",
            hint="Choose another adapter, or ask the server's operator to allow its base.",
        )


def _is_adapter(folder: Path) -> bool:
    """Whether the folder holds an adapter, which requires a base."""
    return (folder / ADAPTER_CONFIG).is_file() and not (folder / CONFIG).is_file()


def _named_base(folder: Path) -> str:
    try:
        base = base_of(folder)
    except FolderRefused as refused:
        raise _unusable(f"the adapter in {folder} was refused: {refused}") from refused
    if base is None:
        raise _unusable(f"{folder / ADAPTER_CONFIG} lacks base_model_name_or_path")
    return base


def _fetched(model: Model) -> Path:
    """Fetch a hub model's folder, whose links must stay within its cache and whose bases must be on
    the hub.

    Raises:
        RunError: `model_unusable`.
        FolderRefused: a link points outside the cache.
    """
    folder = _fetch(model)
    home = home_of(folder)
    check_links(folder, lambda target: target.is_relative_to(home))
    base = base_of(folder)
    if base is not None and not is_hub_id(base):
        raise _unusable(f"the adapter {model.source} has the base {base!r}, which is not a hub id")
    return folder


def _fetch(model: Model) -> Path:
    """Return the hub's files, or the cached ones if the hub does not answer in time."""
    if model_ref(model.source).kind is Kind.PATH:
        raise _unusable(f"there is no folder {model.source}")
    try:
        check_hub_client()
        # Checked first, since a download waits for an unresponsive hub without limit.
        HfApi().model_info(model.source, revision=model.revision, timeout=ANSWER_SECONDS)
        return _download(model)
    except (TransportError, OfflineModeIsEnabled, HubClientUnusable) as silence:
        return _downloaded_before(model, silence)
    except (OSError, ValueError) as error:
        raise _unusable(_not_fetched(model, error)) from None


def _downloaded_before(model: Model, silence: Exception) -> Path:
    try:
        return _download(model, local_files_only=True)
    except (OSError, ValueError):
        raise _unusable(
            _not_fetched(model, silence),
            hint=f"Check the id and this machine's network; or run `hf download {model.source} "
            "--local-dir DIR` on a machine that reaches the hub, and set model.source to DIR.",
        ) from None


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
