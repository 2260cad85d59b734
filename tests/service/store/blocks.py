"""Cost of a read in Postgres, counted in blocks, because times vary."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.orm import Session

from tests.service.store.desk import Desk

Query = tuple[str, Any]
"""A statement and its values."""


def queries(session: Session, read: Callable[[Session], object]) -> list[Query]:
    """Statements that a read sends."""
    connection, sent = session.connection(), []

    def note(_: object, __: object, statement: str, values: Any, *___: object) -> None:
        sent.append((statement, values))

    event.listen(connection, "before_cursor_execute", note)
    read(session)
    event.remove(connection, "before_cursor_execute", note)
    return sent


def blocks(desk: Desk, read: Callable[[Session], object]) -> int:
    """Return the number of 8 KB blocks that a read's queries touch, by Postgres's own count."""
    with desk.database.session() as session:
        sent = queries(session, read)
        return sum(_blocks(session.connection(), *query) for query in sent)


def _blocks(connection: Connection, statement: str, values: Any) -> int:
    explained = connection.exec_driver_sql(
        f"explain (analyze, buffers, format json) {statement}", values
    )
    plan = explained.scalar_one()[0]["Plan"]
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
