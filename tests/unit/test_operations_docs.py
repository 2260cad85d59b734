"""The operator's handbook names every setting with its default, and every alert."""

import re
from pathlib import Path

import yaml
from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from store.settings import Settings

ROOT = Path(__file__).parents[2]
HANDBOOK = (ROOT / "docs" / "operations.md").read_text()


def first_cells(section: str) -> list[tuple[str, str]]:
    """The first two cells of the rows of a section's table."""
    text = HANDBOOK.partition(f"## {section}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| (`.+?`) \| (.+?) \|", text, re.MULTILINE)


def written(name: str, field: FieldInfo) -> tuple[str, str]:
    match field.validation_alias:
        case AliasChoices(choices=choices):
            variable = ", ".join(str(choice) for choice in choices)
        case str(variable):
            pass
        case _:
            variable = f"DUET_{name.upper()}"
    if field.is_required():
        return f"`{variable}`", "needed"
    return f"`{variable}`", f"`{field.default}`" if str(field.default) else "empty"


def test_every_setting_is_in_the_table_with_its_default():
    settings = [written(name, field) for name, field in Settings.model_fields.items()]
    assert first_cells("Settings") == settings


def test_every_alert_is_in_the_table():
    rules = yaml.safe_load((ROOT / "deploy" / "alerts.yml").read_text())
    alerts = [f"`{rule['alert']}`" for group in rules["groups"] for rule in group["rules"]]
    assert [name for name, _ in first_cells("Alerts")] == alerts
