"""The trace that a request belongs to: its `traceparent`'s, or one of its own."""

from typing import Annotated

from fastapi import Depends, Request

from store.telemetry.trace import Trace


async def trace_of(request: Request) -> Trace:
    """What `api.middleware` has found."""
    return request.state.trace


RequestTrace = Annotated[Trace, Depends(trace_of)]
