"""Check of the database at startup."""

import structlog
from sqlalchemy.exc import OperationalError

from store.database.database import Database
from store.database.schema import state_of
from store.errors import DatabaseUnusable

log = structlog.get_logger()


def end_unless_database_usable(database: Database) -> None:
    """Exit if the database is unusable; only log an outage, or another version's schema, which a
    migration or an upgrade resolves.

    Raises:
        SystemExit: the database cannot be used; the message says why.
    """
    try:
        with database.session() as session:
            state = state_of(session)
    except DatabaseUnusable as error:
        raise SystemExit(str(error)) from None
    except OperationalError:
        return
    if state.foreign:
        raise SystemExit(str(state))
    if state.problem is not None:
        log.warning("schema_of_another_version", problem=state.problem, advice=state.advice)
