"""`duet audit`: the audit log."""

from typing import Annotated

import typer

from duet.connection import Key, Url, connect
from duet.terminal.moments import moment
from duet.terminal.output import AsJson, print_list


def audit(
    action: Annotated[str | None, typer.Option(help="Only this action, e.g. job.cancel.")] = None,
    by: Annotated[str | None, typer.Option(metavar="KEY", help="Only this key's changes.")] = None,
    of: Annotated[
        str | None, typer.Option("--object", metavar="ID", help="Only changes of this object.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Number of changes.")] = 50,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """List the changes made with the project's keys, newest first; needs the scope `admin`."""
    with connect(url, key) as client:
        found = list(client.audit(action=action, by=by, object=of, limit=limit))
    rows = [[moment(each.at), each.action, each.key.name, each.object] for each in found]
    print_list(found, ["at", "action", "key", "object"], rows, as_json=as_json)
