"""`python -m grpo schema`, `validate` and `estimate`: results as JSON, for programs.

Exit code 2: the spec is invalid; `errors` names each field, or `refused` gives the reason.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

STDIN = Path("-")
INVALID = 2
MOST_GIB = 2**20


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add these commands to a program's subparsers."""
    schema = commands.add_parser("schema", help="print the JSON schema of a spec")
    schema.set_defaults(command=_schema)

    validate = commands.add_parser("validate", help="check a spec and test its rewards")
    estimate = commands.add_parser("estimate", help="estimate a spec's cost")
    for command in (validate, estimate):
        command.add_argument(
            "spec", type=Path, metavar="SPEC", help="YAML or JSON file; -: JSON on standard input"
        )
        command.add_argument(
            "--folder",
            type=Path,
            metavar="DIR",
            help="folder of the data files; default: the spec's folder",
        )
        command.add_argument(
            "--gpu-memory",
            type=_gib,
            metavar="GIB",
            help="memory of the GPU that the job must fit on",
        )
        command.set_defaults(command=_check, group_sizes=None)
    estimate.add_argument(
        "--group-size",
        dest="group_sizes",
        action="append",
        default=[],
        type=int,
        metavar="N",
        help="another group size to estimate (repeatable)",
    )


def _schema(_: argparse.Namespace) -> int:
    from grpo.spec.job import JobSpec

    return _answer(JobSpec.model_json_schema())


def _check(options: argparse.Namespace) -> int:
    from grpo.spec.resolve import SpecError
    from grpo.validation.local import FileUnusable, LocalSpecs
    from grpo.values.strict_json import NotAnObject, ValuesRefused

    try:
        written = _written(options.spec)
        folder = options.folder or options.spec.parent
        specs = LocalSpecs(folder, card_bytes=options.gpu_memory)
        if options.group_sizes is None:
            result = specs.validate(written)
        else:
            result = specs.estimate(written, options.group_sizes)
    except (SpecError, ValuesRefused) as error:
        errors = [{"pointer": pointer, "detail": detail} for pointer, detail in error.problems]
        return _answer({"errors": errors}, INVALID)
    except (FileUnusable, NotAnObject) as error:
        return _answer({"refused": str(error)}, INVALID)
    found = {"result": result.model_dump(mode="json"), "not_checked": specs.not_checked}
    return _answer(found)


def _gib(written: str) -> int:
    """Return the bytes of a number of GiB."""
    gib = float(written)
    if not 0 < gib < MOST_GIB:
        raise argparse.ArgumentTypeError(f"must be above 0 and below {MOST_GIB} GiB")
    return int(gib * 2**30)


def _written(spec: Path) -> dict[str, Any]:
    from grpo.spec.spec_file import read_spec_file
    from grpo.values.strict_json import read_object

    return read_object(sys.stdin.buffer.read()) if spec == STDIN else read_spec_file(spec)


def _answer(found: object, code: int = 0) -> int:
    json.dump(found, sys.stdout)
    sys.stdout.write("\n")
    return code
