"""Findings of `make test-compose` and `make test-bare`: what was not measured never passes."""

import pytest

from tests.report import Outcome, Report


class Broken(Exception):
    """A failure of the part that is measured."""


@pytest.fixture
def report() -> Report:
    return Report(failures=(Broken,), say=[].append)


def fail() -> None:
    raise Broken("the reason")


def outcomes(report: Report) -> list[Outcome]:
    return [finding.outcome for finding in report.findings]


def test_work_that_ran_to_its_end_passes(report: Report):
    report.measure("one", lambda: None)
    assert outcomes(report) == [Outcome.PASSED]
    assert report.exit_code == 0


def test_a_failure_is_reported_and_ends_with_1_whatever_else_passed(report: Report):
    report.measure("one", fail)
    report.measure("another", lambda: None)
    assert outcomes(report) == [Outcome.FAILED, Outcome.PASSED]
    assert "the reason" in report.findings[0].reason
    assert report.exit_code == 1


def test_an_assertion_is_a_failure_too(report: Report):
    def work() -> None:
        raise AssertionError("1 == 2")

    report.measure("one", work)
    assert outcomes(report) == [Outcome.FAILED]


def test_an_error_of_the_test_itself_is_no_finding(report: Report):
    with pytest.raises(KeyError):
        report.measure("one", lambda: {}["name"])


def test_what_needs_a_guarantee_that_was_not_met_is_not_run_and_not_measured(report: Report):
    ran = []
    report.measure("one", fail)
    report.measure("two", lambda: ran.append("two"), needs=["one"])
    report.measure("three", lambda: ran.append("three"), needs=["two"])
    assert outcomes(report) == [Outcome.FAILED, Outcome.NOT_MEASURED, Outcome.NOT_MEASURED]
    assert ran == []


def test_where_nothing_was_measured_it_ends_with_2_and_not_with_success(report: Report):
    report.leave_out("one", "there is no Docker")
    assert report.exit_code == 2
    report.measure("another", lambda: None)
    assert report.exit_code == 0


def test_each_finding_is_printed_with_its_outcome():
    printed: list[str] = []
    report = Report(failures=(Broken,), say=printed.append)
    report.measure("one", fail)
    report.leave_out("two", "there is no Docker")
    assert [line.split()[0] for line in printed] == ["failed", "not"]
    assert "there is no Docker" in printed[1]
