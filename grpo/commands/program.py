"""`python -m grpo`: train, check specs, evaluate and export checkpoints, plot, print data."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager, nullcontext
from itertools import islice
from pathlib import Path

from grpo.builtin.catalogue import DATASETS
from grpo.net.private_addresses import PrivateAddresses
from grpo.reporting.console import ProgressLines
from grpo.reporting.preference_pairs import preference_pairs
from grpo.reporting.records import Record
from grpo.reporting.run_directory import RunDirectoryError, own_run_directory
from grpo.reporting.terminal import terminal_alone
from grpo.rewards.service.access import (
    ANY_ADDRESS,
    ServiceAccess,
    private_addresses,
    take_secrets,
)
from grpo.runtime.direct_loopback import keep_loopback_direct
from grpo.runtime.folder_lock import FolderInUse
from grpo.runtime.garbage import collection_paused
from grpo.runtime.stop import Stop
from grpo.spec.data import DataSource
from grpo.spec.job import JobSpec
from grpo.spec.resolve import SpecError, load_spec
from grpo.spec.spec_file import SpecFileError
from grpo.validation.command import add_commands

FAILED, USAGE_ERROR = 1, 2
# Read by libraries when torch is imported; values set by the user take precedence.
ENVIRONMENT: Mapping[str, str] = {
    # Threads that spin at a barrier take cores from the threads they wait for as soon as anything
    # else runs on the machine.
    "OMP_WAIT_POLICY": "PASSIVE",
    # oneDNN caches a kernel for each batch size, up to 1,024: about 600 MiB after fifty steps.  The
    # layers of one batch need only a few.
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64",
}
# A GPU's memory in segments that grow: batches of changing sizes leave fewer gaps in them.  vLLM
# turns it off for its own memory.  Torch reads the first of these variables that is set.
ALLOCATOR_SETTINGS = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
GROWING_SEGMENTS = "expandable_segments:True"
HUB_OWNERS = (
    "comma-separated hub owners whose models an adapter may use as its base; default: all owners"
)
PYTHON_REWARDS = "allow the spec's rewards to run Python code in a sandbox"


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    set_environment(os.environ)
    keep_loopback_direct(os.environ)
    secrets = take_secrets(os.environ)
    if "reward_hosts" in options:
        options.access = ServiceAccess(options.reward_hosts, secrets, options.job)
    try:
        return options.command(options)
    except (SpecError, SpecFileError, RunDirectoryError, FolderInUse, OSError) as error:
        return _refuse(str(error))


def set_environment(environment: MutableMapping[str, str]) -> None:
    """Set what libraries read as they are imported, unless the user has."""
    for name, value in ENVIRONMENT.items():
        environment.setdefault(name, value)
    if not any(name in environment for name in ALLOCATOR_SETTINGS):
        environment[ALLOCATOR_SETTINGS[0]] = GROWING_SEGMENTS


def _run(options: argparse.Namespace) -> int:
    if options.lifeline_fd is not None:
        from grpo.runtime.parent_watch import watch_parent

        watch_parent(options.lifeline_fd)
    stop = Stop()
    stop.listen()
    spec = load_spec(options.spec)
    with own_run_directory(options.out, spec):
        return _train(spec, stop, options)


def _train(spec: JobSpec, stop: Stop, options: argparse.Namespace) -> int:
    # Imports take seconds: the parent watch and the stop handlers are in place before.
    with collection_paused():
        from huggingface_hub.utils import disable_progress_bars
        from transformers.utils.logging import disable_progress_bar

        from grpo.run import run

    disable_progress_bar()
    disable_progress_bars()
    watched = sys.stderr.isatty()
    with terminal_alone(options.out / "log.txt") if watched else nullcontext(_print_line) as say:
        code = run(
            spec,
            options.out,
            resume_from=options.resume_from,
            stop=stop,
            listeners=[ProgressLines(say, spec.evaluation), *_keepers(options, spec)],
            allow_python=options.allow_python_rewards,
            hub_owners=options.hub_owners,
            access=options.access,
            earlier=options.earlier,
        )
    if watched:
        _plot(options)
    return code


def _print_line(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _keepers(options: argparse.Namespace, spec: JobSpec) -> list[Callable[[Record], None]]:
    """Return the listeners that prune checkpoints; a worker prunes them itself after copying."""
    if options.lifeline_fd is not None:
        return []
    from grpo.reporting.checkpoint_retention import Retention

    folder = options.out / "checkpoints"
    return [Retention(folder, settings=spec.checkpoints, metric=spec.evaluation.metric)]


def _plot(options: argparse.Namespace) -> int:
    from grpo.reporting.plot import plot_run

    path = plot_run(options.out)
    print(f"curves: {path}" if path else "no steps yet: nothing to plot", file=sys.stderr)
    return 0


def _eval(options: argparse.Namespace) -> int:
    spec = load_spec(options.spec or options.checkpoint / "spec.json")
    sources = [DataSource(source=options.data)] if options.data else spec.data.eval_sources
    if not sources:
        return _refuse("the spec has no data.eval: give --data")
    from grpo.errors import RunError

    with collection_paused():
        from grpo.evaluate_checkpoint import rate

    python = options.allow_python_rewards
    try:
        with _others_print_to_stderr():
            results = rate(
                spec,
                options.checkpoint,
                sources=sources,
                allow_python=python,
                access=options.access,
            )
    except RunError as error:
        return _refuse(f"{error.message}\n{error.hint}", FAILED)
    print(json.dumps(results) if options.json else _table(results))
    return 0


def _table(results: Mapping[str, float]) -> str:
    """Return one line per metric."""
    width = max(map(len, results))
    return "\n".join(
        f"{name:<{width}}  {value:.4f}" if isinstance(value, float) else f"{name:<{width}}  {value}"
        for name, value in results.items()
    )


def _export(options: argparse.Namespace) -> int:
    from grpo.errors import RunError

    with collection_paused():
        from transformers.utils.logging import disable_progress_bar

        from grpo.models.export import export

    disable_progress_bar()
    try:
        export(options.checkpoint, options.out)
    except RunError as error:
        return _refuse(f"{error.message}\n{error.hint}", FAILED)
    return 0


def _pairs(options: argparse.Namespace) -> int:
    pairs, num_pairs = preference_pairs(options.run), 0
    with options.out.open("w") if options.out else nullcontext(sys.stdout) as out:
        for pair in pairs:
            out.write(json.dumps(pair) + "\n")
            num_pairs += 1
    print(f"{num_pairs} pairs", file=sys.stderr)
    return 0


def _dataset(options: argparse.Namespace) -> int:
    for row in islice(DATASETS[options.name].rows(), options.rows):
        print(json.dumps(row))
    return 0


@contextmanager
def _others_print_to_stderr() -> Iterator[None]:
    """Redirect vLLM's logs on stdout, from C++ too, to stderr: stdout is for the result alone."""
    answers = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(answers, 1)
        os.close(answers)


def _hosts(written: str) -> PrivateAddresses:
    return private_addresses(name.strip() for name in written.split(",") if name.strip())


def _owners(written: str) -> frozenset[str]:
    return frozenset(name.strip().lower() for name in written.split(",") if name.strip())


def _refuse(message: str, code: int = USAGE_ERROR) -> int:
    print(f"grpo: {message}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m grpo", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="train a job spec")
    run.add_argument("spec", type=Path, metavar="SPEC", help="YAML or JSON file")
    run.add_argument("--out", type=Path, required=True, metavar="DIR", help="the run directory")
    run.add_argument("--resume-from", type=Path, metavar="CHECKPOINT", help="checkpoint folder")
    run.add_argument("--allow-python-rewards", action="store_true", help=PYTHON_REWARDS)
    run.add_argument(
        "--earlier",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="run directory of an earlier attempt, whose scores by services are used (repeatable)",
    )
    _add_access(run)
    run.add_argument("--hub-owners", type=_owners, metavar="NAMES", help=HUB_OWNERS)
    run.add_argument(
        "--lifeline-fd", type=int, metavar="N", help="pipe from which a worker's deadlines are read"
    )
    run.set_defaults(command=_run)

    add_commands(commands)

    evaluate = commands.add_parser("eval", help="measure a checkpoint's held-out accuracy")
    evaluate.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    evaluate.add_argument(
        "--data", help="data source as in a spec; default: the run's held-out prompts"
    )
    evaluate.add_argument(
        "--spec", type=Path, help="evaluation settings; default: the checkpoint's own"
    )
    evaluate.add_argument("--json", action="store_true")
    evaluate.add_argument("--allow-python-rewards", action="store_true", help=PYTHON_REWARDS)
    _add_access(evaluate)
    evaluate.set_defaults(command=_eval)

    export = commands.add_parser(
        "export", help="export a checkpoint as a Hugging Face model folder"
    )
    export.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    export.add_argument("out", type=Path, metavar="OUT", help="a new or empty folder")
    export.set_defaults(command=_export)

    plot = commands.add_parser("plot", help="plot a run's curves to its plot.png")
    plot.add_argument("out", type=Path, metavar="RUN_DIR", help="the run's directory")
    plot.set_defaults(command=_plot)

    pairs = commands.add_parser(
        "pairs",
        help="export preference pairs for DPO from a run's rollouts",
        description="Print one JSON line for each group of a run whose rewards differ: prompt, "
        "chosen (the best completion), rejected (the worst), step, row, source, reward_chosen and "
        "reward_rejected.  The prompt is the list of messages given to the model, data.system "
        "included; chosen and rejected are assistant messages (TRL's conversational preference "
        "format).  For a run in progress, the steps so far are exported.",
    )
    pairs.add_argument("run", type=Path, metavar="RUN_DIR", help="the run's directory")
    pairs.add_argument("--out", type=Path, metavar="FILE", help="write to FILE instead of stdout")
    pairs.set_defaults(command=_pairs)

    dataset = commands.add_parser("dataset", help="print a built-in data set as JSONL")
    dataset.add_argument("name", choices=sorted(DATASETS))
    dataset.add_argument("--rows", type=int, help="number of rows; default: all")
    dataset.set_defaults(command=_dataset)
    return parser


def _add_access(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--reward-hosts",
        type=_hosts,
        default=ANY_ADDRESS,
        metavar="NAMES",
        help="comma-separated names, addresses and networks that are not public and that rewards "
        "may call, each for all ports or with one; default: all",
    )
    command.add_argument(
        "--job", metavar="ID", help="the job's id, which is sent to reward services"
    )
