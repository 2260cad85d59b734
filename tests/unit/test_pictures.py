"""The pictures of README.md and docs/: those, and only those, that `make pictures` makes."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "pictures"
MOST_BYTES = 200_000
SHOWN = re.compile(r"""(?:\(|src(?:set)?=")((?:[\w./-]*/)?[\w-]+\.(?:png|svg))[)"]""")
MADE = re.compile(r'"([\w-]+\.(?:png|svg))"')


def shown() -> set[Path]:
    texts = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    return {
        (text.parent / name).resolve() for text in texts for name in SHOWN.findall(text.read_text())
    }


def made() -> set[Path]:
    scripts = [path.read_text() for path in PICTURES.glob("*.py")]
    return {PICTURES / name for script in scripts for name in MADE.findall(script)}


def test_shown_pictures_match_the_scripts_list():
    assert shown() == made()
    assert len(made()) >= 7


def test_every_picture_exists_and_is_small_enough():
    sizes = {path.name: path.stat().st_size for path in made()}
    assert {name: size for name, size in sizes.items() if size > MOST_BYTES} == {}
    there = {path for path in PICTURES.iterdir() if path.suffix in (".png", ".svg")}
    assert there == made()
