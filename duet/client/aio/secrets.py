"""Secrets of the project, for keys with the scope `admin`."""

from duet.client.aio.transport import AsyncTransport
from duet.objects.secret import Secret


class AsyncSecrets:
    """`client.secrets`: named values that only the project's jobs use."""

    def __init__(self, http: AsyncTransport) -> None:
        self._http = http

    async def set(self, name: str, value: str, *, host: str | None = None) -> Secret:
        """Set a secret, such as `HF_TOKEN`, or replace its value, which cannot be read again.

        Args:
            host: to which rewards may send it as a key, such as the API of a judge.
        """
        sent = {"value": value, "host": host}
        return await self._http.put(f"/v1/secrets/{name}", Secret, json=sent)

    async def list(self) -> list[Secret]:
        """List the names and dates of all secrets."""
        return await self._http.all("/v1/secrets", Secret)

    async def delete(self, name: str) -> None:
        """Delete a secret; running trainers keep it until they end."""
        await self._http.delete(f"/v1/secrets/{name}")
