"""Data sources: what kind each is, and what it is called."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from grpo.spec.data import DataSource

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
FILE_SUFFIXES = (".jsonl", ".json", ".csv", ".parquet", ".gz", ".zst")
MAX_NAME_LENGTH = 40


@dataclass(frozen=True)
class SourceShare:
    """A loaded source: its name, its number of prompts, and its weight against the others'."""

    name: str
    num_prompts: int
    weight: float = 1.0


def is_hub_id(text: str) -> bool:
    """Whether this can only be a hub data set's id, owner/name, where there is no such path."""
    return HUB_ID.fullmatch(text) is not None and not text.endswith(FILE_SUFFIXES)


def source_names(sources: Sequence[DataSource]) -> list[str]:
    """Each source's name: the given one, or one made from the source; no two are the same."""
    taken = {source.name for source in sources if source.name}
    names: list[str] = []
    for source in sources:
        name = source.name or _free(_name_of(source.source), taken)
        taken.add(name)
        names.append(name)
    return names


def hub_setting(source: DataSource) -> str | None:
    """A setting of it that only data sets of the hub know; None: it has none."""
    return next((name for name in ("config", "split") if getattr(source, name)), None)


def _name_of(source: str) -> str:
    path = Path(source)
    name = path.name if is_hub_id(source) else path.stem
    return re.sub("[^a-z0-9_-]+", "-", name.lower()).strip("-_")[:MAX_NAME_LENGTH] or "data"


def _free(name: str, taken: set[str]) -> str:
    if name not in taken:
        return name
    number = 2
    while (numbered := f"{name[: MAX_NAME_LENGTH - len(f'-{number}')]}-{number}") in taken:
        number += 1
    return numbered
