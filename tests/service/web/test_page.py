"""The web page without a browser: its files are consistent, served, and load nothing external."""

import re
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest

from api.app import create_app
from grpo.reporting.metric_table import table_name
from store.settings import Settings

WEB = Path(__file__).resolve().parents[3] / "web"
TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
FILES = sorted(path for path in WEB.rglob("*") if path.suffix in TYPES)
OWN = [path for path in FILES if "vendor" not in path.parts]
SCRIPTS = [path for path in FILES if path.suffix == ".js"]
SVG_NAMESPACE = "http://www.w3.org/2000/svg"
IMPORT = re.compile(r'\bfrom "([^"]+)";')


def _name(path: Path) -> str:
    return path.relative_to(WEB).as_posix()


class Page(HTMLParser):
    """References of index.html, and parts that a strict policy would refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []
        self.feed((WEB / "index.html").read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.addresses += [given[name] or "" for name in ("src", "href") if name in given]
        refused = [name for name in given if name == "style" or name.startswith("on")]
        if refused or tag == "style" or (tag == "script" and "src" not in given):
            self.inline.append(self.get_starttag_text() or tag)


def test_the_page_references_all_its_files_and_no_others():
    reached = {WEB / "index.html"}
    waiting = [WEB / address for address in Page().addresses]
    while waiting:
        path = waiting.pop().resolve()
        assert path.is_file(), f"{path} is named but not there"
        if path not in reached and path.suffix == ".js":
            waiting += [path.parent / name for name in IMPORT.findall(path.read_text())]
        reached.add(path)
    assert reached == set(FILES)


@pytest.mark.parametrize("path", OWN, ids=_name)
def test_the_page_sends_no_requests_elsewhere(path: Path):
    text = path.read_text().replace(SVG_NAMESPACE, "")
    assert not re.search(r"\b(?:https?|wss?):|[\"'(]//", text)


@pytest.mark.parametrize("path", [path for path in FILES if path not in OWN], ids=_name)
def test_vendored_files_load_nothing_and_come_with_their_licence(path: Path):
    assert not re.search(r"\bimport\b|\bfetch\(|XMLHttpRequest|@import|\burl\(", path.read_text())
    assert "Copyright" in path.with_suffix(".LICENSE").read_text()


def test_the_page_has_no_inline_script_or_style():
    assert Page().inline == []


@pytest.mark.parametrize("path", SCRIPTS, ids=_name)
def test_no_script_evaluates_text(path: Path):
    assert not re.search(r"\beval\(|new Function\b|document\.write\(", path.read_text())


@pytest.mark.parametrize("path", [path for path in OWN if path.suffix == ".js"], ids=_name)
def test_model_output_is_only_inserted_as_text(path: Path):
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|srcdoc|\bstyle=", path.read_text())


def test_only_the_draft_of_a_job_survives_the_tab():
    keeping = [path.name for path in OWN if "localStorage" in path.read_text()]
    assert keeping == ["draft.js"]


def test_every_curve_is_a_metric_of_the_table():
    charts = (WEB / "js" / "job" / "chart_table.js").read_text()
    names = re.findall(r'\bname: "([^"]+)"|\bone\("([^"]+)"', charts)
    assert len(names) >= 9
    for name in names:
        table_name("".join(name))


@pytest.mark.parametrize("path", OWN, ids=_name)
def test_a_file_of_the_page_can_be_read_at_a_sitting(path: Path):
    assert len(path.read_text().splitlines()) < 200


async def test_every_file_is_served_with_its_type_under_a_strict_policy(settings: Settings):
    app = create_app(settings)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://duet") as client,
    ):
        for path in FILES:
            name = _name(path)
            answer = await client.get("/" if name == "index.html" else f"/{name}")
            assert answer.status_code == 200, name
            assert answer.headers["content-type"].split(";")[0] == TYPES[path.suffix], name
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "no-cache" in answer.headers["cache-control"]
            rules = answer.headers["content-security-policy"].split("; ")
            policy = dict(rule.split(maxsplit=1) for rule in rules)
            assert policy["default-src"] in ("'none'", "'self'")
            assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
