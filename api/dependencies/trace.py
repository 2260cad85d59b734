"""The trace that a request belongs to: the one of its `traceparent`, or a new one."""

from typing import Annotated

from fastapi import Depends, Request


async def traceparent_of(request: Request) -> str:
    """The `traceparent` of the span that `api.middleware` began."""
    return request.state.traceparent


RequestTrace = Annotated[str, Depends(traceparent_of)]
