"""Changes of a spec that make its job fit on a GPU, each tried before it is suggested."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from grpo.estimate.fit import Fit, fit
from grpo.estimate.memory import GIB
from grpo.spec.job import JobSpec
from grpo.spec.model import Lora
from grpo.values.section import Section

MOST = 3
LEAST_TOKENS = 64
"""Shortest completion that is suggested."""
LARGEST_CARD_GIB = 4096
FRACTION = "rollout.gpu_memory_fraction"

CHECKPOINTING: Mapping[str, Any] = {"model.gradient_checkpointing": True}
LORA: Mapping[str, Any] = {"model.lora": Lora()}
FOUR_BITS: Mapping[str, Any] = {"model.lora": Lora(base_4bit=True)}
EIGHT_BITS: Mapping[str, Any] = {"optimizer.name": "adamw_8bit"}
OFFLOADED: Mapping[str, Any] = {"optimizer.offload": True}
CANDIDATES: tuple[Mapping[str, Any], ...] = (
    {},  # another share for the engine
    CHECKPOINTING,
    EIGHT_BITS,
    CHECKPOINTING | EIGHT_BITS,
    CHECKPOINTING | OFFLOADED,
    LORA,
    CHECKPOINTING | LORA,
    CHECKPOINTING | FOUR_BITS,
)
"""Values of fields by path, those first that change least."""


@dataclass(frozen=True)
class Change:
    """Values of fields, by path, with which a job fits; without a value, a larger GPU."""

    fields: Mapping[str, Any]
    card_gib: int | None = None

    def __str__(self) -> str:
        settings = [f"{path}: {_written(value)}" for path, value in self.fields.items()]
        card = [] if self.card_gib is None else [f"use a GPU of at least {self.card_gib} GiB"]
        return " and ".join([*card, *([f"set {', '.join(settings)}"] if settings else [])])


def changes_that_fit(
    spec: JobSpec, config: Mapping[str, Any], card_bytes: int, *, has_vllm: bool = True
) -> list[Change]:
    """Return up to three changes, each of which makes the job fit on the card, or on a larger one.

    Raises:
        ValueError: the shape of the model is unknown.
    """
    search = _Search(spec, config, card_bytes, has_vllm)
    return list(islice(search.changes(), MOST))


def changed(spec: JobSpec, fields: Mapping[str, Any]) -> JobSpec:
    """Return the spec with other values of fields, by path."""
    by_section: dict[str, dict[str, Any]] = {}
    for path, value in fields.items():
        section, name = path.split(".")
        by_section.setdefault(section, {})[name] = value
    sections = {
        name: getattr(spec, name).model_copy(update=values) for name, values in by_section.items()
    }
    return spec.model_copy(update=sections)


@dataclass(frozen=True)
class _Search:
    spec: JobSpec
    config: Mapping[str, Any]
    card_bytes: int
    has_vllm: bool

    def changes(self) -> Iterator[Change]:
        found: list[set[str]] = []
        for fields in self._candidates():
            if any(earlier <= {FRACTION, *fields} for earlier in found):
                continue  # a part of it is enough
            settings = self._at_a_fraction(fields, self.card_bytes)
            if settings is not None:
                found.append(set(fields) or {FRACTION})
                yield Change(settings)
        yield from [] if {FRACTION} in found else self._shorter()
        as_it_is = self._least_card({})
        yield from [as_it_is] if as_it_is else []
        if not found:
            cards = filter(None, map(self._least_card, self._candidates()))
            yield from sorted(cards, key=lambda card: (card.card_gib, len(card.fields)))

    def _candidates(self) -> Iterator[Mapping[str, Any]]:
        """Yield the candidates that change the spec and that it allows."""
        lora = self.spec.model.lora
        for candidate in CANDIDATES:
            fields = dict(candidate)
            if lora is not None and candidate.get("model.lora") == FOUR_BITS["model.lora"]:
                fields["model.lora"] = lora.model_copy(update={"base_4bit": True})
            anew = {path: value for path, value in fields.items() if self._differs(path, value)}
            if len(anew) == len(fields) and self._allows(anew):
                yield anew

    def _differs(self, path: str, value: object) -> bool:
        section, name = path.split(".")
        now = getattr(getattr(self.spec, section), name)
        if isinstance(value, Lora) and now is not None:
            return value.base_4bit and not now.base_4bit
        return now != value

    def _allows(self, fields: Mapping[str, Any]) -> bool:
        """Whether the spec's other settings go with a candidate's."""
        renewed = self.spec.algorithm.kl.sync_every_steps is not None
        trains_all = self.spec.model.lora is None
        name = self.spec.optimizer.name
        if "model.lora" in fields and renewed:
            return False
        if "optimizer.name" in fields:  # an adapter's state is small
            return trains_all and not self.spec.optimizer.offload
        return "optimizer.offload" not in fields or (trains_all and name != "adamw_8bit")

    def _fit(self, fields: Mapping[str, Any], card_bytes: int) -> Fit:
        spec = changed(self.spec, fields)
        return fit(spec, self.config, card_bytes, has_vllm=self.has_vllm)

    def _at_a_fraction(self, fields: Mapping[str, Any], card_bytes: int) -> dict[str, Any] | None:
        """Return the fields with which the job fits, and the engine's share if it has to change;
        None: there is none."""
        found = self._fit(fields, card_bytes)
        if found.fits:
            return dict(fields)
        if not found.fits_at_another_fraction:
            return None
        fraction = min(max(found.fraction, found.least_fraction), found.most_fraction)
        return {**fields, FRACTION: fraction}

    def _shorter(self) -> Iterator[Change]:
        """Yield the longest completion with which the job fits."""
        spec = self.spec
        fewest = LEAST_TOKENS
        if spec.algorithm.truncated == "shape":
            fewest = max(fewest, spec.algorithm.overlong.buffer_tokens)
        fits, too_many = fewest - 1, spec.rollout.max_tokens
        while too_many - fits > 1:
            tokens = (fits + too_many) // 2
            found = self._at_a_fraction({"rollout.max_tokens": tokens}, self.card_bytes)
            fits, too_many = (fits, tokens) if found is None else (tokens, too_many)
        settings = self._at_a_fraction({"rollout.max_tokens": fits}, self.card_bytes)
        if fits >= fewest and settings is not None:
            yield Change(settings)

    def _least_card(self, fields: Mapping[str, Any]) -> Change | None:
        """Return the smallest GPU on which the job fits with the fields."""
        too_small, fits = self.card_bytes // GIB, LARGEST_CARD_GIB
        while fits - too_small > 1:
            card = (too_small + fits) // 2
            found = self._at_a_fraction(fields, card * GIB)
            too_small, fits = (card, fits) if found is None else (too_small, card)
        settings = self._at_a_fraction(fields, fits * GIB)
        return None if settings is None else Change(settings, fits)


def _written(value: object) -> str:
    """Return a value as YAML."""
    if isinstance(value, Section):
        fields = value.model_dump(exclude_defaults=True) or value.model_dump(include={"rank"})
        return f"{{{', '.join(f'{name}: {_written(each)}' for name, each in fields.items())}}}"
    return str(value).lower() if isinstance(value, bool) else str(value)
