"""The way to Postgres."""

import json
import select
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import psycopg
from psycopg.errors import IdleInTransactionSessionTimeout
from sqlalchemy import URL, ExceptionContext, create_engine, event, make_url, text
from sqlalchemy.exc import DisconnectionError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

CONNECT_SECONDS = 3
# A process that is stopped amid a transaction would keep its locks, the one on claims included;
# Postgres ends its session after this time instead.
IDLE_TRANSACTION_SECONDS = 10


class Database:
    """A pool of connections; sessions begin and end at a process's edge."""

    def __init__(self, url: str) -> None:
        self.url = _with_our_driver(url)
        idle = f"-c idle_in_transaction_session_timeout={IDLE_TRANSACTION_SECONDS * 1000}"
        self.engine = create_engine(
            self.url,
            pool_size=10,
            max_overflow=30,
            skip_autocommit_rollback=True,
            json_serializer=partial(json.dumps, ensure_ascii=False, allow_nan=False),
            connect_args={
                "connect_timeout": CONNECT_SECONDS,
                "options": f"-c timezone=UTC {idle}",
                "application_name": "duet",
            },
        )
        event.listen(self.engine, "handle_error", _as_if_away)
        event.listen(self.engine, "checkout", _refuse_ended)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)
        by_itself = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._autocommitting = sessionmaker(by_itself, expire_on_commit=False)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """One transaction: committed at the end of the block, rolled back by an exception."""
        with self._sessions.begin() as session:
            yield session

    @contextmanager
    def autocommit(self) -> Iterator[Session]:
        """Each statement by itself: what only reads sees no less than in a transaction of
        Postgres's default kind, and asks two questions less."""
        with self._autocommitting() as session:
            yield session

    @property
    def listen_url(self) -> str:
        """For a plain psycopg connection that LISTENs."""
        return self.url.set(drivername="postgresql").render_as_string(hide_password=False)

    def ping(self) -> bool:
        """Whether Postgres answers; an answer of no comes within a few seconds."""
        try:
            with self.engine.connect() as connection:
                connection.execute(text("select 1"))
        except OperationalError:
            return False
        return True

    def close(self) -> None:
        self.engine.dispose()


def _refuse_ended(connection: psycopg.Connection, *_: object) -> None:
    """As SQLAlchemy's `pool_pre_ping`, without its question: a Postgres that ended a connection
    which nobody used has said so on its socket, where else there is nothing to read."""
    if connection.closed or _is_readable(connection.fileno()):
        raise DisconnectionError("Postgres has ended this connection")


def _is_readable(fileno: int) -> bool:
    """Not by `select.select`, which knows no file beyond the 1,024th: each stream has one."""
    poll = select.poll()
    poll.register(fileno, select.POLLIN)
    return bool(poll.poll(0))


def _as_if_away(context: ExceptionContext) -> None:
    """A session that Postgres ended because we were stopped is as good as a lost connection: what
    it asked for has not happened, and can be asked for again."""
    cause = context.original_exception
    if isinstance(cause, IdleInTransactionSessionTimeout):
        context.is_disconnect = True
        raise OperationalError(context.statement, context.parameters, cause) from cause


def _with_our_driver(url: str) -> URL:
    parsed = make_url(url.replace("postgres://", "postgresql://", 1))
    return parsed.set(drivername="postgresql+psycopg")
