"""Connections and transactions of Postgres."""

import json
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg
from psycopg import errors
from sqlalchemy import Connection, Dialect, ExceptionContext, create_engine, event, text
from sqlalchemy.exc import DisconnectionError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session, sessionmaker

from store.database.address import DatabaseAddress
from store.database.troubles import Troubles
from store.errors import DatabaseUnusable
from store.settings import DatabaseSettings

CONNECT_SECONDS = "3"
# A process suspended during a transaction would keep its locks, including the one on claims;
# Postgres ends its session after this time.
IDLE_TRANSACTION_MS = 10_000
IDLE_TRANSACTION = "idle_in_transaction_session_timeout"
OPTIONS = f"-c timezone=UTC -c {IDLE_TRANSACTION}={IDLE_TRANSACTION_MS}"
REFUSED_SECONDS = 30.0
"""Time after a refused write during which Postgres counts as read-only."""

OUTAGES = (
    errors.ReadOnlySqlTransaction,  # a standby, perhaps a former primary
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.TooManyConnections,
    # The process was suspended during a transaction, which was rolled back.
    errors.IdleInTransactionSessionTimeout,
)
WRITE_REFUSALS = (errors.ReadOnlySqlTransaction, errors.DiskFull)


class Database:
    """A connection pool; sessions begin and end at the edge of a process.

    Every kind of outage is raised as SQLAlchemy's OperationalError.
    """

    def __init__(self, url: str, *, direct_url: str = "") -> None:
        """`direct_url`: the address of the same database, bypassing the pooler that `url` names.

        Raises:
            DatabaseUnusable: an address cannot be parsed.
        """
        self.troubles = Troubles()
        self._pooler = bool(direct_url)
        self._address = DatabaseAddress.parse(url, name="DATABASE_URL")
        self._direct = (
            DatabaseAddress.parse(direct_url, name="DATABASE_DIRECT_URL")
            if self._pooler
            else self._address
        )
        self._checked = False
        self._refused_at: float | None = None
        self.engine = create_engine(
            "postgresql+psycopg://",
            pool_size=10,
            max_overflow=30,
            skip_autocommit_rollback=True,
            json_serializer=partial(json.dumps, ensure_ascii=False, allow_nan=False),
        )
        event.listen(self.engine, "do_connect", self._connect)
        event.listen(self.engine, "handle_error", self._as_outage)
        event.listen(self.engine, "checkout", _refuse_ended)
        if self._pooler:
            event.listen(self.engine, "begin", _limit_idle_transaction)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        autocommitting = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._autocommitting = sessionmaker(autocommitting, expire_on_commit=False)

    @classmethod
    def of(cls, settings: DatabaseSettings) -> "Database":
        return cls(settings.database_url, direct_url=settings.database_direct_url)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """One transaction: committed at the end of the block, rolled back by an exception."""
        try:
            with self._sessions.begin() as session:
                yield session
        except PoolTimeoutError as error:
            raise OperationalError(None, None, error) from error

    @contextmanager
    def autocommit(self) -> Iterator[Session]:
        """Return a session without a transaction, for reads: statements see the same as under
        Postgres's default isolation, and two round trips are saved."""
        with self._autocommitting() as session:
            yield session

    @property
    def listen_url(self) -> str:
        """Address for a plain psycopg connection that LISTENs."""
        return self._direct.conninfo(connect_timeout=CONNECT_SECONDS, keepalives_idle="30")

    def ping(self) -> bool:
        """Whether Postgres answers, decided within a few seconds."""
        try:
            with self.engine.connect() as connection:
                connection.execute(text("select 1"))
        except OperationalError:
            return False
        return True

    def takes_writes(self, session: Session) -> bool:
        """Whether Postgres may accept writes; drops a connection to a server that does not."""
        refused = self._refused_at
        if refused is not None and time.monotonic() - refused < REFUSED_SECONDS:
            return False
        if session.scalar(text("select current_setting('transaction_read_only')")) == "on":
            session.invalidate()
            return False
        return True

    def close(self) -> None:
        self.engine.dispose()

    def _connect(
        self, _: Dialect, __: object, ___: object, parameters: dict[str, Any]
    ) -> psycopg.Connection:
        """Open a connection and check it.

        Raises:
            DatabaseUnusable: the database or the pooler in front of it cannot be used.
        """
        try:
            connection = psycopg.connect(
                self._address.conninfo(
                    options="" if self._pooler else OPTIONS,
                    connect_timeout=CONNECT_SECONDS,
                    application_name="duet",
                ),
                # The next transaction through a pooler may meet another server process.
                prepare_threshold=None if self._pooler else 5,
                **parameters,
            )
        except psycopg.OperationalError as error:
            if "unsupported startup parameter" in str(error):
                raise DatabaseUnusable(POOLER) from error
            raise
        try:
            self._check(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _check(self, connection: psycopg.Connection) -> None:
        encoding = connection.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            name = connection.info.dbname
            raise DatabaseUnusable(
                f"the database {name!r} has the encoding {encoding}: Duet needs UTF8; create one "
                f"with `createdb --encoding=UTF8 --template=template0 {name}`"
            )
        connection.autocommit = True
        if self._pooler:
            connection.execute("set timezone to 'UTC'")  # poolers preserve this setting
        elif not self._checked:
            row = connection.execute(f"show {IDLE_TRANSACTION}").fetchone()
            if row != (f"{IDLE_TRANSACTION_MS // 1000}s",):
                raise DatabaseUnusable(POOLER)
            self._checked = True
        connection.autocommit = False

    def _as_outage(self, context: ExceptionContext) -> None:
        """Raise every outage as one type of error and drop the connections, since connections to a
        server that has become a standby stay open."""
        cause = context.original_exception
        if isinstance(cause, WRITE_REFUSALS):
            self._refused_at = time.monotonic()
        broken = isinstance(cause, psycopg.InterfaceError) and context.is_disconnect
        if broken or isinstance(cause, OUTAGES):
            context.is_disconnect = True
            raise OperationalError(context.statement, context.parameters, cause) from cause


POOLER = (
    "DATABASE_URL leads to a pooler that drops connection settings, such as PgBouncer: "
    "set DATABASE_DIRECT_URL to the address of Postgres itself"
)


def _limit_idle_transaction(connection: Connection) -> None:
    """Set the timeout that `OPTIONS` set on a direct connection."""
    if connection.get_isolation_level() != "AUTOCOMMIT":
        connection.exec_driver_sql(f"set local {IDLE_TRANSACTION} = {IDLE_TRANSACTION_MS}")


def _refuse_ended(connection: psycopg.Connection, *_: object) -> None:
    """Replace SQLAlchemy's `pool_pre_ping` without a round trip: when Postgres has ended an idle
    connection its socket is readable, and otherwise never."""
    if connection.closed or _is_readable(connection.fileno()):
        raise DisconnectionError("Postgres has ended this connection")


def _is_readable(fileno: int) -> bool:
    """Return whether there is data; `select.select` would fail beyond the 1,024th descriptor."""
    poll = select.poll()
    poll.register(fileno, select.POLLIN)
    return bool(poll.poll(0))
