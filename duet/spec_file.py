"""A job's spec as written by its user: a YAML or JSON file, and fields set by options."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from duet.client.sync.client import Client
from duet.errors import InvalidRequest, Refused
from duet.objects.file import File
from duet.plain_yaml import load_yaml
from duet.terminal.output import moving, tell

Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Override a field of the file: its dotted path and its value as YAML (repeatable).",
    ),
]


def read_spec(path: Path) -> dict[str, Any]:
    """Return the spec in a file.

    Raises:
        Refused: the file cannot be read, or is not a mapping.
    """
    try:
        content = _parsed(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, RecursionError, yaml.YAMLError) as error:
        raise Refused(f"cannot read {path}: {error}") from error
    if not isinstance(content, dict):
        raise Refused(
            f"{path} is not a spec: its top level must be a mapping such as `preset: 2-grpo`"
        )
    return _whole(content, of=str(path))


def _parsed(text: str) -> Any:  # noqa: ANN401
    """Parse JSON as JSON and the rest as YAML, which would read an escaped emoji as two
    surrogates."""
    if text.lstrip().startswith("{"):
        with suppress(ValueError):
            return json.loads(text)
    return load_yaml(text)


def _whole(value: Any, *, of: str) -> Any:  # noqa: ANN401
    """Return the value with each pair of surrogates joined into its character.

    Raises:
        Refused: a surrogate is unpaired.
    """
    if isinstance(value, dict):
        return {_whole(key, of=of): _whole(item, of=of) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item, of=of) for item in value]
    if not isinstance(value, str):
        return value
    try:
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        raise Refused(f"{of} holds an unpaired surrogate") from None


def with_settings(spec: Mapping[str, Any], settings: Sequence[str] | None) -> dict[str, Any]:
    """Return the spec with each `FIELD=VALUE` set.

    Raises:
        Refused: a setting has another form, or does not fit the spec.
    """
    changed = deepcopy(dict(spec))
    for setting in settings or ():
        _set(changed, setting)
    return changed


@contextmanager
def errors_of_the_file(*, sent_at: str) -> Iterator[None]:
    """Make errors name the file's fields if the spec is a field of the request.

    Raises:
        InvalidRequest: the server's error, with the file's fields.
    """
    try:
        yield
    except InvalidRequest as error:
        raise error.below(sent_at) from None


def with_uploads(client: Client, spec: Mapping[str, Any], *, folder: Path) -> dict[str, Any]:
    """Replace paths of data files that exist in `folder` with the ids of uploaded files.

    A file is uploaded unless the project has one with the same content.
    """
    data = spec.get("data")
    if not isinstance(data, dict):
        return dict(spec)
    ids: dict[Path, str] = {}

    def id_of(source: object) -> object:
        path = folder / source if isinstance(source, str) else folder
        if not os.path.isfile(path):  # False for names that cannot be a file's
            return source
        if path not in ids:
            ids[path] = _uploaded(client, path).id
        return ids[path]

    found = {
        name: _map_sources(data[name], id_of) for name in ("train", "eval", "test") if name in data
    }
    return {**spec, "data": {**data, **found}}


def _uploaded(client: Client, path: Path) -> File:
    """Return the project's file with the content of `path`, uploaded if needed."""
    with path.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    for file in client.files.list(sha256=sha256, limit=1):
        # An older server does not support the filter.
        if file.sha256 == sha256 and file.status == "ready":
            tell(f"{path} is uploaded already: {file.num_rows} rows, {file.id}")
            return file
    try:
        with moving(path.name) as progress:
            file = client.files.upload(path, progress=progress, checking=progress.checking)
    except InvalidRequest as error:
        details = "; ".join(detail for _, detail in error.errors)
        raise Refused(f"{path.name} cannot be used: {details or error.detail}") from None
    tell(f"uploaded {path}: {file.num_rows} rows, {file.id}")
    return file


def _map_sources(written: object, change: Callable[[object], object]) -> object:
    """Apply a function to each source of one of the sets of `data`, a source or a list of them.
    Other values are kept, for the server to reject."""
    if not isinstance(written, list):
        return change(written)
    return [
        {**entry, "source": change(entry["source"])}
        if isinstance(entry, dict) and "source" in entry
        else entry
        for entry in written
    ]


def _set(spec: dict[str, Any], setting: str) -> None:
    """Set one field.  Missing sections are created; list entries are addressed by index, from 0."""
    field, equals, written = setting.partition("=")
    names = field.split(".")
    if not equals or not all(names):
        raise Refused(f"--set {setting}: write FIELD=VALUE, as in algorithm.group_size=16")
    try:
        value = _whole(load_yaml(written), of=f"--set {field}")
    except yaml.YAMLError as error:
        raise Refused(f"--set {field}: {written!r} is not a valid YAML value: {error}") from error
    section: Any = spec
    for depth, name in enumerate(names):
        key = _key(section, name, setting, above=".".join(names[:depth]))
        if depth == len(names) - 1:
            section[key] = value
        elif isinstance(section, dict) and section.get(key) is None:
            section[key] = section = {}
        else:
            section = section[key]


def _key(section: object, name: str, setting: str, *, above: str) -> str | int:
    """Key or index of a name in the section of the spec."""
    if isinstance(section, dict):
        return name
    if not isinstance(section, list):
        raise Refused(f"--set {setting}: {above} is {section!r}, which has no field {name!r}")
    if not name.isdecimal() or int(name) >= len(section):
        raise Refused(
            f"--set {setting}: {above} is a list of {len(section)}: {name!r} is not a valid "
            f"index (from 0)"
        )
    return int(name)
