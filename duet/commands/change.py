"""`duet set`: change a job's name, labels or priority."""

from collections.abc import Sequence
from typing import Annotated

import typer

from duet.connection import JobId, Key, Url, connect
from duet.errors import Refused
from duet.terminal.output import AsJson, print_answer


def change(
    job: JobId,
    name: Annotated[str | None, typer.Option(help="Its new name.")] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Label to set (repeatable)."),
    ] = None,
    remove_label: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Label to remove (repeatable).")
    ] = None,
    priority: Annotated[
        int | None, typer.Option(help="Higher runs first; only while the job is queued.")
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Change a job's name, labels or priority; other labels are kept."""
    added, removed = _labels(label or []), set(remove_label or [])
    given = {"name": name, "labels": added or removed or None, "priority": priority}
    changed = [field for field, value in given.items() if value is not None]
    if not changed:
        raise Refused("nothing to change: give --name, --label, --remove-label or --priority")
    with connect(url, key) as client:
        labels = None
        if given["labels"]:
            labels = {**client.jobs.get(job).labels, **added}
            labels = {field: value for field, value in labels.items() if field not in removed}
        now = client.jobs.update(job, name=name, labels=labels, priority=priority)
    print_answer(now, f"{now.id} has changed: {', '.join(changed)}", as_json=as_json)


def _labels(written: Sequence[str]) -> dict[str, str]:
    """
    Raises:
        Refused: one of them is not NAME=VALUE.
    """
    for label in written:
        if "=" not in label:
            raise Refused(f"{label!r} is not a label: write NAME=VALUE")
    return dict(label.split("=", 1) for label in written)
