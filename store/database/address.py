"""DATABASE_URL, read as libpq reads it: several hosts, `options` and all its other parameters."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from store.errors import DatabaseUnusable

SCHEME = re.compile(r"\Apostgres(ql)?(\+psycopg)?://")
EXAMPLE = "postgresql://user:password@host:port/name"


@dataclass(frozen=True)
class DatabaseAddress:
    """The address of a database with its connection parameters."""

    url: str
    """The given address, with the scheme that libpq accepts."""
    parameters: Mapping[str, str]

    @classmethod
    def parse(cls, written: str, *, name: str) -> Self:
        """Parse the address in the variable `name`.

        Raises:
            DatabaseUnusable: libpq cannot parse the address; the message holds no password.
        """
        url = SCHEME.sub("postgresql://", written)
        try:
            found = conninfo_to_dict(url)
        except psycopg.Error as error:
            detail = str(error).strip()
            reason = f": {detail}" if "URI query parameter" in detail else ""
            raise DatabaseUnusable(
                f"{name} cannot be parsed{reason}; write {EXAMPLE}, with special characters of "
                "the password as %XX"
            ) from None
        parameters = {key: str(value) for key, value in found.items() if value is not None}
        if "dbname" not in parameters:
            raise DatabaseUnusable(f"{name} names no database; write {EXAMPLE}")
        return cls(url, parameters)

    def conninfo(self, *, options: str = "", **defaults: str) -> str:
        """Return a connection string.

        `options` follow the user's and thus take precedence; `defaults` apply where the user has
        set nothing.
        """
        own = self.parameters.get("options", "")
        merged = {**defaults, **self.parameters, "options": f"{own} {options}".strip()}
        return make_conninfo("", **{key: value for key, value in merged.items() if value})
