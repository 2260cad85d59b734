"""Measurements: whole steps, their parts, and memory."""

import sys
from collections.abc import Sequence
from functools import partial
from statistics import median

from bench.report import Row
from bench.trainer import goals, memory, ours, parts, trl_peer, vllm_alone
from bench.trainer.setting import Setting
from bench.trainer.task import MODEL, make_spec, num_completions
from bench.turns import Contestant, Turn, alternate, contest
from grpo.budget import TOKEN_BUDGET
from grpo.builtin.catalogue import MODELS
from grpo.estimate.memory import MemoryEstimate, estimate_memory
from grpo.spec.job import JobSpec

LEAST_SPEED_UP = {2: 3.0, 16: 2.0}  # against TRL generating with transformers, by group size
ROUNDS_TO_CHOOSE = 3


def fastest_rows_at_once(setting: Setting) -> int:
    """Return the fastest batch size of TRL on this machine."""
    choices = setting.effort.trl_rows_at_once
    if len(choices) == 1:
        return choices[0]
    spec = make_spec(setting.effort.group_sizes[0])
    players = {
        f"trl-{rows}": (trl_peer.play, (spec, trl_peer.Peer(setting.model, rows), setting.folder))
        for rows in choices
    }
    _say("TRL's fastest batch")
    with contest(players, logs=setting.folder) as playing:
        turns = alternate(_turn(playing), rounds=ROUNDS_TO_CHOOSE, warmups=0)
    seconds = {
        rows: median(turn.seconds for turn in of_choice)
        for rows, of_choice in zip(choices, turns.values(), strict=True)
    }
    _say(", ".join(f"{rows} rows: {spent:.2f} s" for rows, spent in seconds.items()))
    return min(choices, key=lambda rows: seconds[rows])


def whole_steps(setting: Setting, group_size: int, *, rows_at_once: int) -> list[Row]:
    """Compare a run of Duet with TRL's, which generates with transformers or with vLLM."""
    spec = make_spec(group_size)
    peer = trl_peer.Peer(setting.model, rows_at_once)
    with_vllm = trl_peer.Peer(setting.model, rows_at_once, with_vllm=True)
    folder = setting.folder / f"k{group_size}"
    folder.mkdir()
    players = {
        "ours": (ours.play, (spec, folder / "ours")),
        "trl": (trl_peer.play, (spec, peer, folder / "trl")),
        "trl-vllm": (trl_peer.play, (spec, with_vllm, folder / "trl-vllm")),
    }
    _say(f"whole steps, k={group_size}")
    with contest(players, logs=folder) as playing:
        turns = setting.alternate(_turn(playing))
    own, size = turns["ours"], f"k={group_size}"
    faster = partial(goals.speed_up, own, num_completions=num_completions(spec))
    return [
        faster(
            turns["trl"],
            goal=f"{size}: completions/s against TRL",
            least=LEAST_SPEED_UP[group_size],
        ),
        faster(turns["trl-vllm"], goal=f"{size}: against TRL with vLLM", least=1.0),
        goals.phases(own, goal=f"{size}: our step"),
        goals.overhead(own, goal=f"{size}: all else in it"),
        goals.estimated_memory(own, _estimate(spec), goal=f"{size}: peak memory"),
    ]


def pieces(setting: Setting) -> list[Row]:
    """Compare the rollout with vLLM alone, and the update with a bare one."""
    sizes = setting.effort.group_sizes
    specs = [make_spec(group_size) for group_size in sizes]
    _say("rollout and update by themselves")
    with contest({"parts": (parts.play, (specs, setting.model))}, logs=setting.folder) as playing:
        own = playing["parts"]
        recorded: list[parts.Recorded] = own.prepared
        rows = _rollouts(setting, own, recorded, specs[0])
        for place, group_size in enumerate(sizes):
            rows += _updates(setting, own, place, size=f"k={group_size}")
            rows.append(goals.padding(recorded[place], goal=f"k={group_size}: padding"))
    return rows


def logprob_memory(setting: Setting) -> list[Row]:
    """Measure peaks of our log-probabilities and of a whole log-softmax, each in a fresh process.

    Raises:
        MemoryError: too little memory is free for the largest size.
    """
    _say("memory of log-probabilities")
    effort = setting.effort
    memory.check_room(max(effort.vocabularies), max(effort.num_tokens))
    peaks: dict[tuple[memory.Method, int, int], int] = {}
    for vocabulary in effort.vocabularies:
        for num_tokens in effort.num_tokens:
            for method in memory.METHODS:
                players = {"memory": (memory.play, (method, vocabulary, num_tokens))}
                with contest(players, logs=setting.folder) as playing:
                    peaks[method, vocabulary, num_tokens] = playing["memory"].prepared
    return goals.memory_growth(peaks)


def _rollouts(
    setting: Setting, own: Contestant, recorded: Sequence[parts.Recorded], spec: JobSpec
) -> list[Row]:
    batches = [step.requests for step in recorded]
    players = {
        "same": (vllm_alone.play, (spec, setting.model, True, batches)),
        "unseeded": (vllm_alone.play, (spec, setting.model, False, batches)),
    }
    rows: list[Row] = []
    with contest(players, logs=setting.folder) as others:
        for place, group_size in enumerate(setting.effort.group_sizes):
            turns = setting.alternate(
                {
                    "ours": partial(own.turn, ("rollout", place)),
                    **{name: partial(other.turn, place) for name, other in others.items()},
                }
            )
            goal = f"k={group_size}: rollout, of vLLM's generate"
            rows += [
                goals.rollout_share(turns["ours"], turns["same"], goal=goal, judged=True),
                goals.rollout_share(
                    turns["ours"],
                    turns["unseeded"],
                    goal=f"{goal}, compiled and without seeds",
                    judged=False,
                ),
            ]
    return rows


def _updates(setting: Setting, own: Contestant, place: int, *, size: str) -> list[Row]:
    kinds = ("update", "bare_update", "stock_update")
    turns = setting.alternate({kind: partial(own.turn, (kind, place)) for kind in kinds})
    share = partial(goals.update_share, turns["update"])
    goal = f"{size}: update, of a bare loop's speed"
    return [
        share(turns["bare_update"], goal=goal, judged=True),
        share(turns["stock_update"], goal=f"{goal}, stock transformers", judged=False),
    ]


def _estimate(spec: JobSpec) -> MemoryEstimate:
    config = MODELS[MODEL].config
    budget = TOKEN_BUDGET["cpu"]
    return estimate_memory(spec, config, device="cpu", token_budget=budget, engine="vllm")


def _turn(playing: dict[str, Contestant]) -> dict[str, partial[Turn]]:
    return {name: partial(contestant.turn) for name, contestant in playing.items()}


def _say(what: str) -> None:
    sys.stderr.write(f"{what}\n")
