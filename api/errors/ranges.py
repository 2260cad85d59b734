"""Range errors as problems."""

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from api.errors.handlers import answer
from api.errors.problems import Problem


class RangeRefusals:
    """Replaces the plain-text or empty Range errors of file responses by problems."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._refused = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and (problem := _range_problem(message)):
            self._refused = True
            respond = answer(self._scope["path"], problem)
            await respond(self._scope, self._receive, self._send)
        elif not self._refused:
            await self._send(message)


def _range_problem(message: Message) -> Problem | None:
    headers = Headers(raw=message["headers"])
    if message["status"] == 416:
        size = headers["content-range"]
        detail = f"the range is outside the file: {size.removeprefix('bytes */')} bytes"
        return Problem(416, "range_not_satisfiable", detail, headers={"Content-Range": size})
    if message["status"] == 400 and headers.get("content-type", "").startswith("text/plain"):
        detail = "the Range header is malformed: write bytes=FIRST-LAST"
        return Problem(400, "invalid_range", detail)
    return None
