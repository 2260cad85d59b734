"""Base of the tables: column types and names of constraints."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import (
    DateTime,
    Enum,
    LargeBinary,
    MetaData,
    Text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase

from store.states import Status, Wanted

_STATUS = Enum(
    Status,
    native_enum=False,
    create_constraint=False,
    length=20,
    values_callable=lambda statuses: [status.value for status in statuses],
)
_WANTED = Enum(
    Wanted, name="wanted", values_callable=lambda wanted: [level.value for level in wanted]
)


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Text,
        bytes: LargeBinary,
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        list[str]: ARRAY(Text),
        Status: _STATUS,
        Wanted: _WANTED,
    }
