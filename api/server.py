"""The process that serves: listening and shutdown."""

import asyncio
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.config import STARTUP_FAILURE

from api.limits.connections import KEEP_ALIVE_SECONDS, BoundedProtocol, max_connections

SHUTDOWN_SECONDS = 10
TICKS_A_LOOK = 10
"""Interval of uvicorn's ticks, ten per second."""


def serve(app: FastAPI, *, host: str, port: int, trusted_proxies: Sequence[str]) -> None:
    """Serve until a signal ends the process."""
    config = configured(app, trusted_proxies=trusted_proxies, host=host, port=port)
    server = Server(config, app)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)


def configured(
    app: FastAPI,
    *,
    trusted_proxies: Sequence[str] = (),
    **settings: Any,  # noqa: ANN401 - uvicorn's own
) -> uvicorn.Config:
    """Return the server's configuration, with bounded connections.

    `trusted_proxies`: addresses and networks whose headers about the client's address and https are
    believed; the headers of all others, this machine included, are ignored.
    """
    bounded = {
        "http": BoundedProtocol,
        "ws": "none",
        "limit_concurrency": max_connections(),
        "timeout_keep_alive": KEEP_ALIVE_SECONDS,
        "access_log": False,  # the application writes its own line, with the request id
        "server_header": False,
        "proxy_headers": bool(trusted_proxies),
        "forwarded_allow_ips": list(trusted_proxies),
        "timeout_graceful_shutdown": SHUTDOWN_SECONDS,
    }
    return uvicorn.Config(app, **{**bounded, **settings})


class Server(uvicorn.Server):
    """Ends the streams, which would not end by themselves, before waiting for requests; and closes
    connections that are silent for too long."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    async def on_tick(self, counter: int) -> bool:
        if counter % TICKS_A_LOOK == 0:
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, BoundedProtocol):
                    connection.end_if_overdue(now)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.services.feed.end()
        await super().shutdown(sockets)
