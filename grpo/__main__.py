"""`python -m grpo`: run a spec, draw its curves, rate a checkpoint, export pairs, print data."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from itertools import islice
from pathlib import Path

from grpo.builtin.catalogue import DATASETS
from grpo.reporting.console import ProgressLines
from grpo.reporting.preference_pairs import preference_pairs
from grpo.reporting.records import Record
from grpo.reporting.run_directory import RunDirectoryError, own_run_directory
from grpo.reporting.terminal import terminal_alone
from grpo.runtime.direct_loopback import keep_loopback_direct
from grpo.runtime.folder_lock import FolderInUse
from grpo.runtime.stop import Stop
from grpo.spec.data import DataSource
from grpo.spec.job import JobSpec
from grpo.spec.resolve import SpecError, load_spec

FAILED, USAGE_ERROR = 1, 2
# Read by the libraries as torch is imported, unless the user has set them.
ENVIRONMENT: Mapping[str, str] = {
    # Threads that spin at a barrier take the cores away from those they wait for as soon as
    # anything else runs on the machine.
    "OMP_WAIT_POLICY": "PASSIVE",
    # oneDNN keeps a kernel for each size of batch that it has met, 1,024 of them: some 600 MiB
    # after fifty steps.  The layers of one batch need a few.
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64",
}
HUB_OWNERS = "whose hub models an adapter may name as its base, by commas; everybody's unless given"
PYTHON_REWARDS = "let the spec's rewards run Python code, in a sandbox"


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    keep_loopback_direct(os.environ)
    try:
        return options.command(options)
    except (SpecError, RunDirectoryError, FolderInUse, OSError) as error:
        return _refuse(str(error))


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
    # Seconds of imports, with the process already held to its parent and able to be stopped.
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
        )
    if watched:
        _plot(options)
    return code


def _print_line(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _keepers(options: argparse.Namespace, spec: JobSpec) -> list[Callable[[Record], None]]:
    """A worker, which holds a lifeline, looks after checkpoints itself once it has copied them."""
    if options.lifeline_fd is not None:
        return []
    from grpo.checkpoint.retention import Retention

    folder = options.out / "checkpoints"
    return [Retention(folder, settings=spec.checkpoints, metric=spec.evaluation.metric)]


def _plot(options: argparse.Namespace) -> int:
    from grpo.reporting.plot import plot_run

    path = plot_run(options.out)
    print(f"curves: {path}" if path else "no step yet: nothing to draw", file=sys.stderr)
    return 0


def _eval(options: argparse.Namespace) -> int:
    spec = load_spec(options.spec or options.checkpoint / "spec.json")
    sources = [DataSource(source=options.data)] if options.data else spec.data.eval_sources
    if not sources:
        return _refuse("the spec has no data.eval: give --data")
    from grpo.errors import RunError
    from grpo.evaluate_checkpoint import rate

    python = options.allow_python_rewards
    try:
        with _others_print_to_stderr():
            results = rate(spec, options.checkpoint, sources=sources, allow_python=python)
    except RunError as error:
        return _refuse(f"{error.message}\n{error.hint}", FAILED)
    print(json.dumps(results) if options.json else _table(results))
    return 0


def _table(results: Mapping[str, float]) -> str:
    """A metric a line."""
    width = max(map(len, results))
    return "\n".join(
        f"{name:<{width}}  {value:.4f}" if isinstance(value, float) else f"{name:<{width}}  {value}"
        for name, value in results.items()
    )


def _export(options: argparse.Namespace) -> int:
    from transformers.utils.logging import disable_progress_bar

    from grpo.errors import RunError
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
    """vLLM logs to standard output, from C++ too; there belongs the answer alone."""
    answers = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(answers, 1)
        os.close(answers)


def _owners(written: str) -> frozenset[str]:
    return frozenset(name.strip().lower() for name in written.split(",") if name.strip())


def _refuse(message: str, code: int = USAGE_ERROR) -> int:
    print(f"grpo: {message}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m grpo", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="train as a spec says")
    run.add_argument("spec", type=Path, metavar="SPEC", help="YAML or JSON file")
    run.add_argument("--out", type=Path, required=True, metavar="DIR", help="the run directory")
    run.add_argument("--resume-from", type=Path, metavar="CHECKPOINT", help="checkpoint folder")
    run.add_argument("--allow-python-rewards", action="store_true", help=PYTHON_REWARDS)
    run.add_argument("--hub-owners", type=_owners, metavar="NAMES", help=HUB_OWNERS)
    run.add_argument("--lifeline-fd", type=int, metavar="N", help="pipe of deadlines to live by")
    run.set_defaults(command=_run)

    evaluate = commands.add_parser("eval", help="held-out accuracy of a checkpoint")
    evaluate.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    evaluate.add_argument(
        "--data", help="named as in a spec; the run's own held-out prompts unless given"
    )
    evaluate.add_argument(
        "--spec", type=Path, help="evaluation settings; the checkpoint's own unless given"
    )
    evaluate.add_argument("--json", action="store_true")
    evaluate.add_argument("--allow-python-rewards", action="store_true", help=PYTHON_REWARDS)
    evaluate.set_defaults(command=_eval)

    export = commands.add_parser("export", help="a checkpoint as a plain model folder")
    export.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    export.add_argument("out", type=Path, metavar="OUT", help="a folder that is new or empty")
    export.set_defaults(command=_export)

    plot = commands.add_parser("plot", help="draw a run's curves into its plot.png")
    plot.add_argument("out", type=Path, metavar="RUN_DIR", help="the run's directory")
    plot.set_defaults(command=_plot)

    pairs = commands.add_parser(
        "pairs",
        help="preference pairs for DPO, out of a run's rollouts",
        description="Print every group of a run whose completions were not equally good as one "
        "JSON line: prompt, chosen (the best completion), rejected (the worst), step, row, source, "
        "reward_chosen and reward_rejected.  The prompt is the messages that the model was asked "
        "with, data.system included, chosen and rejected are the assistant's (TRL's conversational "
        "preference format).  A run that still goes on gives the steps it has made.",
    )
    pairs.add_argument("run", type=Path, metavar="RUN_DIR", help="the run's directory")
    pairs.add_argument("--out", type=Path, metavar="FILE", help="write there, not to the terminal")
    pairs.set_defaults(command=_pairs)

    dataset = commands.add_parser("dataset", help="print a built-in data set as JSONL")
    dataset.add_argument("name", choices=sorted(DATASETS))
    dataset.add_argument("--rows", type=int, help="only so many")
    dataset.set_defaults(command=_dataset)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
