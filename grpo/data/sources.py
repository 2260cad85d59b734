"""Names of data sources, and their shares of the prompts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from grpo.data.source_ref import is_hub_id
from grpo.spec.data import DataSource

MAX_NAME_LENGTH = 40


@dataclass(frozen=True)
class SourceShare:
    """A loaded source: name, number of prompts, and relative weight."""

    name: str
    num_prompts: int
    weight: float = 1.0


def source_names(sources: Sequence[DataSource]) -> list[str]:
    """Return each source's unique name: the given one, or one made from the source."""
    taken = {source.name for source in sources if source.name}
    names: list[str] = []
    for source in sources:
        name = source.name or _free(_name_of(source.source), taken)
        taken.add(name)
        names.append(name)
    return names


def hub_setting(source: DataSource) -> str | None:
    """Return a setting of the source that applies only to the hub; None if it has none."""
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
