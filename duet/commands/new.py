"""`duet new`: a template of a spec."""

from pathlib import Path
from typing import Annotated

import typer

from duet.connection import Key, Url
from duet.errors import Refused
from duet.spec_checks import spec_checks
from duet.spec_template import spec_template
from duet.terminal.output import say, tell


def new(
    file: Annotated[Path, typer.Argument(help="File to write; `-` prints it.")] = Path("spec.yaml"),
    preset: Annotated[str | None, typer.Option(help="Preset to start from.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Write a spec with every field, each with a comment.

    `duet submit` accepts it unchanged; most fields are commented out.
    """
    printed = str(file) == "-"
    if file.exists() and not (force or printed):
        raise Refused(f"{file} already exists: choose another file, or use --force")
    with spec_checks(url, key, folder=file.parent) as checks:
        # An estimate resolves a spec without testing rewards, unlike a validation.
        wanted = {} if preset is None else {"preset": preset}
        resolved = checks.estimate(wanted, group_sizes=()).spec
        text = spec_template(checks.schema(), resolved)
    if printed:
        say(text, end="")
        return
    try:
        file.write_text(text)
    except OSError as error:
        raise Refused(f"cannot write {file}: {error}") from error
    tell(f"wrote {file}; then: duet estimate {file}, duet submit {file} --watch")
