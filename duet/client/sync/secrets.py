# Written by `python -m duet.client.generate_sync`; edit duet/client/aio instead.

"""Secrets of the project, for keys with the scope `admin`."""

from duet.client.sync.transport import Transport
from duet.objects.secret import Secret


class Secrets:
    """`client.secrets`: named values that only the project's jobs use."""

    def __init__(self, http: Transport) -> None:
        self._http = http

    def set(self, name: str, value: str, *, host: str | None = None) -> Secret:
        """Set a secret, such as `HF_TOKEN`, or replace its value, which cannot be read again.

        Args:
            host: to which rewards may send it as a key, such as the API of a judge.
        """
        sent = {"value": value, "host": host}
        return self._http.put(f"/v1/secrets/{name}", Secret, json=sent)

    def list(self) -> list[Secret]:
        """List the names and dates of all secrets."""
        return self._http.all("/v1/secrets", Secret)

    def delete(self, name: str) -> None:
        """Delete a secret; running trainers keep it until they end."""
        self._http.delete(f"/v1/secrets/{name}")
