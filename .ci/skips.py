"""Fail when a test was skipped for a reason that is not allowed."""

import sys
from xml.etree import ElementTree

# Messages of allowed skips: software or rights that a machine may lack.
ALLOWED = (
    "DUET_GSM8K is not set",
    "a small disk cannot be mounted here",
    "pgbouncer is not installed",
    # Of the extra for GPUs; `make test-long` runs the test with it.
    "bitsandbytes is not installed",
    # As an ordinary user; root runs both.
    "only root gives files away",
    "root's way around Postgres's refusal of root",
)


def main(reports: list[str]) -> int:
    skips = [skip for report in reports for skip in _skips(report)]
    forbidden = [(test, why) for test, why in skips if not any(word in why for word in ALLOWED)]
    for test, why in skips:
        print(f"skipped: {test}: {why}")
    if forbidden:
        print(
            f"{len(forbidden)} skipped for a reason that is not allowed: see .ci/skips.py",
            file=sys.stderr,
        )
    return 1 if forbidden else 0


def _skips(report: str) -> list[tuple[str, str]]:
    cases = ElementTree.parse(report).iter("testcase")
    return [
        (f"{case.get('classname')}.{case.get('name')}", skip.get("message", ""))
        for case in cases
        for skip in case.findall("skipped")
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
