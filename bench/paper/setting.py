"""Setting of the comparison: tasks, methods, and the effort spent on them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from grpo.builtin import arithmetic

Spec = Mapping[str, Any]

LARGEST_GROUP = 16
"""Group size of the reference, 16-GRPO."""
TUNING_SEED = 1000
"""Seed of the runs that choose a learning rate; no reported run has it."""
NEVER = 1_000_000  # steps
VALIDATION_ROWS = 256


@dataclass(frozen=True)
class Method:
    """A way to group and compare completions."""

    name: str
    group_size: int
    algorithm: Spec = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """A policy, its data and reward, in three sets: training, choice of learning rates, report."""

    name: str
    base: Spec
    reported: Any
    """`data.eval` of the reported runs."""
    validation: Any = None
    """`data.eval` of the runs that choose learning rates; None: a file with `validation_rows`."""
    validation_rows: Callable[[], Sequence[Mapping[str, str]]] = tuple
    policy: str | None = None
    """Name of the base policy that `bench.paper.policies` makes; None: `base` names another."""


@dataclass(frozen=True)
class Effort:
    """Sizes of the runs.  A step has the same rollouts and updates with every method."""

    seeds: tuple[int, ...]
    learning_rates: tuple[float, ...]
    """The same grid for every method."""
    rollouts: int
    rollouts_per_step: int
    updates_per_step: int
    evaluated: int
    """Held-out prompts."""
    samples: int
    """Completions of each: n of mean@n and pass@n."""
    every_steps: int
    """Steps between evaluations."""
    methods: tuple[str, ...]
    tasks: tuple[str, ...]


METHODS = {
    method.name: method
    for method in (
        *(Method(f"{size}-GRPO", size) for size in (16, 8, 4, 2)),
        Method("2-GRPO+RS", 2, {"ties": {"policy": "resample"}}),
        Method("grow", 2, {"ties": {"policy": "grow", "grow_limit": LARGEST_GROUP}}),
        Method("shrunk", 2, {"advantage": {"baseline": "shrunk"}}),
        Method("memory", 2, {"advantage": {"baseline": "memory"}}),
    )
}
REFERENCE = f"{LARGEST_GROUP}-GRPO"


def _unseen_additions() -> list[dict[str, str]]:
    """Return problems that are neither in `arithmetic` nor in `arithmetic-heldout`."""
    rows = (*arithmetic.training_rows(), *arithmetic.held_out_rows())
    seen = {row["question"] for row in rows}
    random, found = Random("validation"), dict[str, str]()
    while len(found) < VALIDATION_ROWS:
        num_terms = random.choice(arithmetic.TERMS)
        terms = tuple(random.choice(arithmetic.DIGITS) for _ in range(num_terms))
        question = arithmetic.question(terms)
        if question not in seen:
            found[question] = str(sum(terms))
    return [{"question": question, "answer": answer} for question, answer in found.items()]


GYM_PARAMETERS: Mapping[str, dict[str, Any]] = {
    "spell_backward": {},
    "letter_counting": {"min_words": 2, "max_words": 4},
}
GYM_ROWS = 4096


def asked(question: str) -> str:
    """Return the prompt of a row, as its base policy has learned it."""
    return f"{question}\n"


def _of_the_gym(name: str, *, max_tokens: int, after: str | None) -> Task:
    """A task of reasoning-gym: seed 0 for training, 1 to choose learning rates, 2 to report."""

    def source(seed: int, size: int) -> list[dict[str, Any]]:
        parameters = GYM_PARAMETERS[name]
        of_task = {"source": f"reasoning-gym:{name}", "parameters": parameters}
        return [{**of_task, "seed": seed, "size": size}]

    return Task(
        name=name,
        base={
            "data": {
                "train": source(0, GYM_ROWS),
                "prompt": asked("{{question}}"),
                "max_prompt_tokens": 160,
            },
            "rewards": [{"type": "reasoning_gym", "after": after}],
            "rollout": {"max_tokens": max_tokens},
        },
        reported=source(2, 512),
        validation=source(1, VALIDATION_ROWS),
        policy=name,
    )


TASKS = {
    "arithmetic": Task(
        name="arithmetic",
        base={
            "model": {"source": "tiny-arithmetic"},
            "data": {"train": "arithmetic", "max_prompt_tokens": 32},
            "rewards": [{"type": "exact", "after": "#"}],
            "rollout": {"max_tokens": 64},
        },
        reported="arithmetic-heldout",
        validation_rows=_unseen_additions,
    ),
    "spell_backward": _of_the_gym("spell_backward", max_tokens=16, after=None),
    "letter_counting": _of_the_gym("letter_counting", max_tokens=96, after="#"),
}

FULL = Effort(
    seeds=(0, 1, 2),
    learning_rates=(5e-5, 1e-4, 2e-4),
    rollouts=16_384,
    rollouts_per_step=512,
    updates_per_step=4,
    evaluated=512,
    samples=4,
    every_steps=2,
    methods=tuple(METHODS),
    tasks=tuple(TASKS),
)
QUICK = Effort(
    seeds=(0,),
    learning_rates=(1e-4,),
    rollouts=1_024,
    rollouts_per_step=256,
    updates_per_step=2,
    evaluated=64,
    samples=2,
    every_steps=1,
    methods=("16-GRPO", "2-GRPO", "memory"),
    tasks=("arithmetic",),
)
