"""The request's transaction."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends
from sqlalchemy.orm import Session

from api.services import FromServices


def request_session(services: FromServices) -> Iterator[Session]:
    """One transaction a request, committed before the answer leaves.

    The function scope below matters: with FastAPI's default the commit would come after the answer,
    and a commit that fails would still have said 201.
    """
    with services.database.session() as session:
        yield session


RequestSession = Annotated[Session, Depends(request_session, scope="function")]
