"""The request's transaction."""

from collections.abc import AsyncIterator, Iterator
from typing import Annotated

from fastapi import Depends
from sqlalchemy.orm import Session

from api.dependencies.services import FromServices


def request_session(services: FromServices) -> Iterator[Session]:
    """One transaction per request, committed before the answer is sent.

    The function scope below matters: with FastAPI's default the commit would follow the answer,
    and a failed commit would already have been answered with 201.
    """
    with services.database.session() as session:
        yield session


async def reading_session(services: FromServices) -> AsyncIterator[Session]:
    """Session of a request that changes nothing. Opening and closing it sends no statement, so only
    the route needs a thread."""
    with services.database.autocommit() as session:
        yield session


RequestSession = Annotated[Session, Depends(request_session, scope="function")]
ReadingSession = Annotated[Session, Depends(reading_session, scope="function")]
