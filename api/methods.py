"""HEAD for every GET, and the allowed methods of a path, for OPTIONS and 405."""

from typing import cast

import anyio
from anyio.lowlevel import checkpoint
from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OF_FILES = frozenset({"GET", "HEAD"})


class Methods:
    """Pure ASGI middleware inside `Edge`. The OpenAPI document lists only the routes' own
    methods."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        routes = cast(FastAPI, scope["app"]).router.routes
        match scope["method"]:
            case "OPTIONS" if allowed := allowed_methods(routes, scope):
                answer = Response(status_code=204, headers={"Allow": ", ".join(allowed)})
                await answer(scope, receive, send)
            case "HEAD" if _own_methods(routes, scope) & {"GET", "HEAD"} == {"GET"}:
                await self._head(scope, receive, send)
            case _:
                await self._app(scope, receive, _Refusing(routes, scope, send).send)

    async def _head(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send GET's answer without its body, stopping early if the body is long."""
        with anyio.CancelScope() as whole:

            async def send_head(message: Message) -> None:
                if message["type"] == "http.response.start":
                    scope["method"] = "HEAD"  # the requested method, for the log and metrics
                    await send(message)
                    await send({"type": "http.response.body", "body": b""})
                elif message.get("more_body"):
                    whole.cancel()
                    await checkpoint()

            scope["method"] = "GET"
            await self._app(scope, receive, send_head)


class _Refusing:
    """Completes `Allow`: a router's 405 names only the methods of the path's first route."""

    def __init__(self, routes: list[BaseRoute], scope: Scope, send: Send) -> None:
        self._routes = routes
        self._scope = scope
        self._send = send

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 405:
            allowed = allowed_methods(self._routes, self._scope)
            MutableHeaders(scope=message)["allow"] = ", ".join(allowed)
        await self._send(message)


def allowed_methods(routes: list[BaseRoute], scope: Scope) -> list[str]:
    """The methods that a path allows; empty for an unknown path."""
    own = _own_methods(routes, scope)
    if not own:
        return []
    return sorted(own | {"OPTIONS"} | ({"HEAD"} if "GET" in own else set()))


def _own_methods(routes: list[BaseRoute], scope: Scope) -> frozenset[str]:
    """The methods of all routes of a path."""
    found: set[str] = set()
    for route in routes:
        match, _ = route.matches(scope)
        if match is Match.NONE:
            continue
        found |= OF_FILES if isinstance(route, Mount) else cast(Route, route).methods or set()
    return frozenset(found)
