"""The models and data sets that come with the project, by name."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from grpo.builtin import arithmetic


@dataclass(frozen=True)
class BuiltinModel:
    """A Hugging Face model folder."""

    folder: Path
    description: str

    @cached_property
    def config(self) -> Mapping[str, Any]:
        return json.loads((self.folder / "config.json").read_text())

    @property
    def context_tokens(self) -> int:
        """Maximum length of prompt plus completion [tokens]."""
        return self.config["max_position_embeddings"]


@dataclass(frozen=True)
class BuiltinDataset:
    """Rows that are generated on each request, always the same."""

    description: str
    rows: Callable[[], Iterator[dict[str, str]]]


MODELS = {
    "tiny-arithmetic": BuiltinModel(
        folder=Path(__file__).parent / "tiny-arithmetic",
        description="Adds three to six digits step by step, right about two times in five. "
        "2.4 million weights, reads any text byte by byte.",
    )
}

DATASETS = {
    "arithmetic": BuiltinDataset(
        description=f"{arithmetic.TRAINING_ROWS} chain additions such as 7+5+9=.",
        rows=arithmetic.training_rows,
    ),
    "arithmetic-heldout": BuiltinDataset(
        description=f"{arithmetic.HELD_OUT_ROWS} chain additions, none of them in arithmetic.",
        rows=arithmetic.held_out_rows,
    ),
}


def model_folder(name: str) -> Path | None:
    """Return the folder of a built-in model; None when no model has that name."""
    model = MODELS.get(name)
    return model.folder if model else None
