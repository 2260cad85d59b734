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
    """Where a database is, and how its user wants to be connected."""

    url: str
    """As it is given, with the scheme that libpq knows."""
    parameters: Mapping[str, str]

    @classmethod
    def parse(cls, written: str, *, name: str) -> Self:
        """
        Raises:
            DatabaseUnusable: libpq cannot read it; the message holds no password.
        """
        url = SCHEME.sub("postgresql://", written)
        try:
            found = conninfo_to_dict(url)
        except psycopg.Error as error:
            said = str(error).strip()
            reason = f": {said}" if "invalid URI query parameter" in said else ""
            raise DatabaseUnusable(
                f"{name} cannot be read{reason}; write {EXAMPLE}, special characters of the "
                "password as %XX"
            ) from None
        parameters = {key: str(value) for key, value in found.items() if value is not None}
        if "dbname" not in parameters:
            raise DatabaseUnusable(f"{name} names no database; write {EXAMPLE}")
        return cls(url, parameters)

    def conninfo(self, *, options: str = "") -> str:
        """A connection string; `options` come after the user's own, so that ours hold."""
        own = self.parameters.get("options", "")
        merged = {**self.parameters, "options": f"{own} {options}".strip()}
        return make_conninfo("", **{key: value for key, value in merged.items() if value})
