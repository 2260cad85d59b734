"""DATABASE_URL is read as libpq reads it."""

import pytest
from psycopg.conninfo import conninfo_to_dict

from store.database.address import DatabaseAddress
from store.errors import DatabaseUnusable


def parsed(url: str) -> DatabaseAddress:
    return DatabaseAddress.parse(url, name="DATABASE_URL")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p@a:1/d", {"host": "a", "port": "1", "user": "u", "password": "p"}),
        ("postgres://u@a/d", {"host": "a", "user": "u"}),
        ("postgresql+psycopg://u@a/d", {"host": "a", "user": "u"}),
        ("postgresql://a:1,b:2,c/d?target_session_attrs=read-write",
         {"host": "a,b,c", "port": "1,2,", "target_session_attrs": "read-write"}),
        ("postgresql:///d?host=/var/run/postgresql", {"host": "/var/run/postgresql"}),
        ("postgresql://u:a%40b%2F@a/d?sslmode=verify-full",
         {"host": "a", "user": "u", "password": "a@b/", "sslmode": "verify-full"}),
        ("host=a port=1 dbname=d", {"host": "a", "port": "1"}),
    ],
)  # fmt: skip
def test_every_form_of_libpq_is_taken(url: str, expected: dict[str, str]):
    assert conninfo_to_dict(parsed(url).conninfo()) == {"dbname": "d", **expected}


def test_the_users_options_stay_and_ours_come_after_them():
    address = parsed("postgresql://a/d?options=-c%20search_path%3Dduet%20-c%20timezone%3DCET")
    written = conninfo_to_dict(address.conninfo(options="-c timezone=UTC"))
    assert written["options"] == "-c search_path=duet -c timezone=CET -c timezone=UTC"


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [("connect_timeout=20", "20"), ("connect_timeout=0", "0"), ("application_name=mine", "3")],
)
def test_the_users_parameters_replace_our_defaults(parameter: str, expected: str):
    written = parsed(f"postgresql://a/d?{parameter}").conninfo(connect_timeout="3")
    name, _, value = parameter.partition("=")
    found = conninfo_to_dict(written)
    assert (found[name], found["connect_timeout"]) == (value, expected)


def test_a_parameter_that_is_not_escaped_is_named():
    with pytest.raises(DatabaseUnusable, match=r'extra key/value separator.*"options"'):
        parsed("postgresql://u:secret@a/d?options=-c%20search_path=duet")


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "mysql://u:secret@a/d", "postgresql://u:secret%zz@a/d", "postgresql://u@a",
     "postgresql://u:secret@a/d?sslmod=require", "postgresql://u:secret@[a/d"],
)  # fmt: skip
def test_an_invalid_address_is_reported_without_the_password(url: str):
    with pytest.raises(DatabaseUnusable) as refused:
        parsed(url)
    assert str(refused.value).startswith("DATABASE_URL ")
    assert "secret" not in str(refused.value)
    assert ("sslmod" in str(refused.value)) == ("sslmod" in url)
