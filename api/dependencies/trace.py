"""The trace that a request belongs to: the one of its `traceparent`, or a new one."""

from typing import Annotated

from fastapi import Depends, Request

from store.telemetry.trace import Trace


async def trace_of(request: Request) -> Trace:
    """The trace that `api.middleware` determined."""
    return request.state.trace


RequestTrace = Annotated[Trace, Depends(trace_of)]
