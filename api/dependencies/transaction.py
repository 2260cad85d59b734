"""The request's transaction."""

from collections.abc import AsyncIterator, Iterator
from typing import Annotated

from fastapi import Depends
from sqlalchemy.orm import Session

from api.dependencies.services import FromServices


def request_session(services: FromServices) -> Iterator[Session]:
    """One transaction a request, committed before the answer leaves.

    The function scope below matters: with FastAPI's default the commit would come after the answer,
    and a commit that fails would still have said 201.
    """
    with services.database.session() as session:
        yield session


async def reading_session(services: FromServices) -> AsyncIterator[Session]:
    """For a request that changes nothing.  Neither end of it asks the database anything, so it
    needs no thread; only the route does."""
    with services.database.autocommit() as session:
        yield session


RequestSession = Annotated[Session, Depends(request_session, scope="function")]
ReadingSession = Annotated[Session, Depends(reading_session, scope="function")]
