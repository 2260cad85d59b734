"""HTTP requests to one server with one key, with safe retries and typed answers."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from uuid import uuid4

import anyio
import httpx
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from duet.client.response_errors import error_of
from duet.client.retry import pause_after_answer, pause_after_break
from duet.client.surroundings import connection_options, proxy_of
from duet.discovery import Server
from duet.errors import Refused, Unreachable

CONNECT_SECONDS = 10.0
MOST_A_PAGE = 100

Answer = TypeVar("Answer", bound=BaseModel)
Build = Callable[[], httpx.Request]


class Listed(BaseModel):
    data: list[dict[str, Any]]
    next: str | int | None = None


class AsyncTransport:
    """The connection to one server with one key.

    Raises:
        Problem: the server refused the request.
        Unreachable: the server did not answer.
    """

    def __init__(self, server: Server, *, timeout_seconds: float, max_retries: int) -> None:
        self._max_retries = max_retries
        self._named_by = f" (from {server.named_by})" if server.named_by else ""
        if not server.url.startswith(("http://", "https://")):
            raise Refused(
                f"{server.url!r}{self._named_by} is no address of a server: it begins with http:// "
                f"or https://, such as http://{server.url.rpartition('://')[2]}"
            )
        try:
            self._http = httpx.AsyncClient(
                base_url=server.url,
                headers={"Authorization": f"Bearer {server.key}", "User-Agent": "duet-python"},
                timeout=httpx.Timeout(timeout_seconds, connect=CONNECT_SECONDS),
                follow_redirects=True,
                **connection_options(server.url),
            )
        except (httpx.InvalidURL, UnicodeEncodeError) as error:
            raise Refused(f"{server.url} with its key cannot be used: {error}") from error

    async def aclose(self) -> None:
        await self._http.aclose()

    async def get(self, path: str, answer: type[Answer], **params: object) -> Answer:
        """Return one object."""
        return read(answer, await self.call("GET", path, params=params))

    async def all(self, path: str, item: type[Answer], **params: object) -> list[Answer]:
        """Return a list that has a single page."""
        listed = read(Listed, await self.call("GET", path, params=params))
        return [item.model_validate(entry) for entry in listed.data]

    async def pages(
        self, path: str, item: type[Answer], *, limit: int | None, **params: object
    ) -> AsyncIterator[Answer]:
        """Yield a list's items, page after page; at most `limit` of them."""
        left = limit
        while left is None or left > 0:
            size = MOST_A_PAGE if left is None else min(left, MOST_A_PAGE)
            page = await self.get(path, Listed, **{**params, "limit": size})
            for entry in page.data:
                yield item.model_validate(entry)
            if page.next is None:
                return
            params["after"] = page.next
            left = None if left is None else left - len(page.data)

    async def lines(
        self, path: str, *, silence_seconds: float, **params: object
    ) -> AsyncIterator[str]:
        """Yield a response's lines as they arrive, each with its line feed."""
        rest = b""
        async with self.opened(path, params=params, silence_seconds=silence_seconds) as answer:
            async for block in answer.aiter_bytes():
                *lines, rest = (rest + block).split(b"\n")
                for line in lines:
                    yield f"{line.decode()}\n"

    async def text(self, path: str, **params: object) -> str:
        return (await self.call("GET", path, params=params)).text

    async def post(
        self,
        path: str,
        answer: type[Answer],
        *,
        json: object = None,
        repeatable: bool = False,
        **params: object,
    ) -> Answer:
        """Send a POST; unless repeatable, not retried once it may have taken effect."""
        response = await self.call("POST", path, json=json, params=params, repeatable=repeatable)
        return read(answer, response)

    async def once(
        self, path: str, answer: type[Answer], *, key: str | None, json: object = None
    ) -> Answer:
        """Send a POST with an Idempotency-Key: however often it is sent, it takes effect once."""
        headers = {"Idempotency-Key": key or str(uuid4())}
        return read(answer, await self.call("POST", path, json=json, headers=headers))

    async def put(self, path: str, answer: type[Answer], *, json: object) -> Answer:
        return read(answer, await self.call("PUT", path, json=json))

    async def patch(self, path: str, answer: type[Answer], *, json: object) -> Answer:
        return read(answer, await self.call("PATCH", path, json=json))

    async def delete(self, path: str) -> None:
        await self.call("DELETE", path)

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, object] | None = None,
        json: object = None,
        files: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = True,
    ) -> httpx.Response:
        """Send any request and return its response.  `repeatable`: the request is idempotent."""
        given = _given(params)
        written: dict[str, Any] = {}
        if json is not None:
            headers = {**(headers or {}), "Content-Type": "application/json"}
            written = {"content": encoded(json)}

        def build() -> httpx.Request:
            return self._http.build_request(
                method, path, params=given, headers=headers, files=files, **written
            )

        return await self._answered(build, repeatable=repeatable, stream=False)

    @asynccontextmanager
    async def opened(
        self,
        path: str,
        *,
        params: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        silence_seconds: float,
    ) -> AsyncIterator[httpx.Response]:
        """Yield a response whose body is read as it arrives.

        Raises:
            Unreachable: before the response, or during its body.
        """
        given = _given(params)
        timeout = httpx.Timeout(silence_seconds, connect=CONNECT_SECONDS)

        def build() -> httpx.Request:
            return self._http.build_request(
                "GET", path, params=given, headers=headers, timeout=timeout
            )

        answer = await self._answered(build, repeatable=True, stream=True)
        try:
            yield answer
        except httpx.RequestError as error:
            raise self._unreachable(error) from error
        finally:
            await answer.aclose()

    async def _answered(self, build: Build, *, repeatable: bool, stream: bool) -> httpx.Response:
        tried = 0
        while True:
            tried += 1
            try:
                answer = await self._sent(build(), stream=stream)
            except httpx.RequestError as error:
                pause = pause_after_break(error, tried, repeatable=repeatable)
                if pause is None or tried > self._max_retries:
                    raise self._unreachable(error) from error
            else:
                if answer.is_success:
                    return answer
                pause = pause_after_answer(answer, tried, repeatable=repeatable)
                if pause is None or tried > self._max_retries:
                    raise error_of(answer)
            await anyio.sleep(pause)

    async def _sent(self, request: httpx.Request, *, stream: bool) -> httpx.Response:
        if self._http.is_closed:
            raise Refused("the client is closed: create another one")
        answer = await self._http.send(request, stream=stream)
        if not answer.is_success:
            await answer.aread()
        return answer

    def _unreachable(self, error: httpx.RequestError) -> Unreachable:
        why = str(error) or type(error).__name__
        where = f"{self._http.base_url}{self._named_by}"
        if proxy := proxy_of(str(self._http.base_url)):
            return Unreachable(
                f"{where} does not answer through the proxy {proxy} ({why}): check the address and "
                "the proxy (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY; NO_PROXY lists exceptions)"
            )
        return Unreachable(f"{where} does not answer ({why}): is `duet up` running?")


def read(answer: type[Answer], response: httpx.Response) -> Answer:
    try:
        return answer.model_validate_json(response.content)
    except ValidationError as error:
        raise Unreachable(
            f"unexpected response from {response.url}: not a Duet server, or another version of "
            f"Duet than this client: {error}"
        ) from error


def _given(params: Mapping[str, object] | None) -> dict[str, Any]:
    return {name: value for name, value in (params or {}).items() if value is not None}


def encoded(body: object) -> bytes:
    """Encode as JSON; dates, paths and the like become text."""
    try:
        return to_json(body)
    except ValueError as error:
        raise Refused(f"the request cannot be encoded as JSON: {error}") from error
