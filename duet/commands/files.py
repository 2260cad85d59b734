"""`duet files`: uploaded data files."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from duet.connection import Force, Key, Url, connect
from duet.errors import Refused
from duet.objects.file import File
from duet.terminal.confirm import Yes, confirm
from duet.terminal.output import (
    AsJson,
    age,
    moving,
    print_answer,
    print_done,
    print_json,
    print_lines,
    print_list,
    say,
    tell,
)
from duet.terminal.plain import plain

FileId = Annotated[str, typer.Argument(metavar="FILE", help="Its id, as `duet files` lists it.")]

app = typer.Typer(help="Uploaded data files.")


@app.callback(invoke_without_command=True)
def files(
    context: typer.Context, as_json: AsJson = False, url: Url = None, key: Key = None
) -> None:
    """List the files, newest first."""
    if context.invoked_subcommand is not None:
        return
    with connect(url, key) as client:
        found = list(client.files.list())
    now = datetime.now(UTC)
    rows = [
        [file.id, _rows(file), age((now - file.created_at).total_seconds()), file.name]
        for file in found
    ]
    print_list(
        found,
        ["id", "rows", "age", "name"],
        rows,
        as_json=as_json,
        numbers=["rows"],
        none="none yet: add one with `duet files upload problems.jsonl`",
    )


@app.command()
def upload(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="JSONL, CSV or Parquet.")],
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Upload data files and print their ids; each is checked as it arrives."""
    for path in paths:
        if not path.is_file():
            raise Refused(f"{path} is not a file")
    with connect(url, key) as client:
        for path in paths:
            with moving(path.name) as progress:
                file = client.files.upload(path, progress=progress, checking=progress.checking)
            if as_json:
                print_json(file)
                continue
            say(file.id)
            fields = ", ".join(field.name for field in file.fields)
            tell(plain(f"{path}: {_rows(file)} rows, {fields}"))


@app.command()
def preview(file: FileId, as_json: AsJson = False, url: Url = None, key: Key = None) -> None:
    """Show a file's first rows."""
    with connect(url, key) as client:
        found = client.files.preview(file)
    if as_json:
        print_json(found)
        return
    for number, row in enumerate(found.data, 1):
        print_lines([f"row {number}", *(f"  {name}: {value}" for name, value in row.items())])


@app.command()
def download(
    file: FileId,
    path: Annotated[
        Path | None, typer.Argument(help="Path to write; default: its name, in this folder.")
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Download a file, checked against its sha256; an interrupted download is resumed."""
    with connect(url, key) as client:
        found = client.files.get(file)
        # The uploader chose the name: only its last part is used, without folders.
        target = path or Path(Path(found.name).name)
        with moving(target.name) as progress:
            client.files.download(file, target, progress=progress, force=force)
    print_answer(found, f"{_rows(found)} rows: {target}", as_json=as_json)


@app.command()
def delete(
    file: FileId, yes: Yes = False, as_json: AsJson = False, url: Url = None, key: Key = None
) -> None:
    """Delete a file; refused while jobs need it."""
    confirm(f"delete the file {file} permanently", yes=yes)
    with connect(url, key) as client:
        client.files.delete(file)
    print_done(file, "deleted", as_json=as_json)


def _rows(file: File) -> str:
    return file.status if file.num_rows is None else f"{file.num_rows:,}"
