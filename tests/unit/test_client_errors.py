"""Misuse of the client is a `DuetError` that says what to do."""

from pathlib import Path

import pytest

import duet
from duet.cli import app


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://127.0.0.1", "localhost", ""])
def test_an_address_without_http_is_refused_with_what_to_write(url: str):
    with pytest.raises(duet.DuetError, match="such as http://") as refused:
        duet.Client(url or " ", "duet_key")
    assert refused.value.exit_code == 2


def test_a_closed_client_is_refused_by_name():
    with duet.Client("http://127.0.0.1:9", "duet_key") as client:
        pass
    with pytest.raises(duet.DuetError, match="the client is closed"):
        client.jobs.get("job_x")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path):
    with duet.Client("http://127.0.0.1:9", "duet_key") as client:
        for path in (tmp_path / "missing.jsonl", tmp_path):
            with pytest.raises(duet.DuetError, match=f"{path} cannot be read: "):
                client.files.upload(path)


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        app(["--version"], prog_name="duet")
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"duet {duet.__version__}\n"
