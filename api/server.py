"""The process that serves: its address, and its end."""

import socket
import sys
from contextlib import suppress

import uvicorn
from fastapi import FastAPI
from uvicorn.config import STARTUP_FAILURE

SHUTDOWN_SECONDS = 10


def serve(app: FastAPI, *, host: str, port: int) -> None:
    """Until a signal ends it."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        access_log=False,  # the application writes its own line, with the request's id
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    server = _Server(config, app)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)


class _Server(uvicorn.Server):
    """Ends the streams, which would not end by themselves, before it waits for all requests."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.services.feed.end()
        await super().shutdown(sockets)
