"""The kind of model or data set that a name in a spec stands for, read from the name alone."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum, auto

from grpo.builtin.catalogue import DATASETS, MODELS
from grpo.spec.data import GYM_PREFIX

UPLOAD_PREFIX, CHECKPOINT_PREFIX = "file_", "ckpt_"
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
FILE_SUFFIXES = (".jsonl", ".json", ".csv", ".parquet", ".gz", ".zst")


class Kind(Enum):
    """The kinds of sources."""

    BUILTIN = auto()
    GYM = auto()
    """reasoning-gym:TASK: data only."""
    UPLOAD = auto()
    """A file's id on a server: data only."""
    CHECKPOINT = auto()
    """A checkpoint's id on a server: models only."""
    PATH = auto()
    """An absolute path."""
    HUB = auto()
    """owner/name.  Without a server, a file or a folder at that relative path comes first."""
    UNKNOWN = auto()
    """None of these.  Without a server it may be a relative path."""


@dataclass(frozen=True)
class SourceRef:
    """A source's name and its kind."""

    name: str
    kind: Kind


def model_ref(name: str) -> SourceRef:
    """Read a model's source."""
    return SourceRef(name, _kind(name, MODELS, CHECKPOINT_PREFIX, Kind.CHECKPOINT))


def data_ref(name: str) -> SourceRef:
    """Read a data set's source."""
    if name.startswith(GYM_PREFIX):
        return SourceRef(name, Kind.GYM)
    return SourceRef(name, _kind(name, DATASETS, UPLOAD_PREFIX, Kind.UPLOAD))


def is_hub_id(name: str) -> bool:
    """Whether a name has a hub id's form, owner/name, and no data file's ending."""
    return HUB_ID.fullmatch(name) is not None and not name.endswith(FILE_SUFFIXES)


def unknown_model(name: str) -> str:
    """Return the error about a model name of unknown kind, on a server."""
    if "/" in name:
        return f"{name!r} is not a valid hub id: write owner/name"
    return (
        f"unknown built-in model {name!r}; the built-in models are {', '.join(sorted(MODELS))}; "
        "write a hub model as owner/name, a folder by its absolute path"
    )


def unknown_dataset(name: str) -> str:
    """Return the error about a data set name of unknown kind, on a server."""
    return (
        f"unknown data set {name!r}: name a built-in one ({', '.join(sorted(DATASETS))}), "
        "reasoning-gym:TASK, the id of an uploaded file, or a hub data set as owner/name"
    )


def _kind(name: str, builtin: Collection[str], prefix: str, stored: Kind) -> Kind:
    if name in builtin:
        return Kind.BUILTIN
    if name.startswith(prefix):
        return stored
    if name.startswith("/"):
        return Kind.PATH
    return Kind.HUB if is_hub_id(name) else Kind.UNKNOWN
