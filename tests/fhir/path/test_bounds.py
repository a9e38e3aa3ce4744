"""What an expression may cost is bounded: in steps, in characters, in the copies that a regular expression makes."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careloom.fhir.outcome import OutcomeError
from careloom.fhir.path import compile  # noqa: A004 - as re.compile
from careloom.fhir.path.expression import copies, pattern_of

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "name": [{"given": ["a", "b"]}],
    "telecom": [{"value": "x"}] * 3,
}
BUNDLE = {
    "resourceType": "Bundle",
    "type": "collection",
    "entry": [{"fullUrl": f"urn:{number}", "resource": PATIENT} for number in range(2000)],
}
TEXT = {"resourceType": "Patient", "name": [{"family": "a" * 50_000 + "!"}]}
ALIKE = [{"url": "u", "extension": [*([{"url": "v"}] * 5000), {"url": str(number)}]} for number in range(40)]
TWINS = {"resourceType": "Patient", "extension": ALIKE}

COSTLY: list[tuple[str, Any]] = [
    # Texts that grow with each step.
    ("'a'" + ".encode('hex')" * 40, None),
    ("'a'" + ".encode('base64')" * 100, None),
    ("'\\\\'" + ".escape('json')" * 40, None),
    ("('a').repeat($this + 'a')", None),
    ("name.family.replaceMatches('a', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb')", TEXT),
    # Texts that are gone through for each character of them.
    ("name.family.toChars().where(%resource.name.family.upper() = 'x')", TEXT),
    ("name.family.toChars().where(%resource.name.family.indexOf('aaab') > 0)", TEXT),
    ("name.family.toChars().where(%resource.name.family.replace('a', 'b') = 'x')", TEXT),
    # Regular expressions that look back, or make copies.
    ("name.family.matches('(a+)+b')", TEXT),
    ("name.family.matches('^(a|aa)+$')", TEXT),
    ("name.family.replaceMatches('(?=(a+)+b)', 'x')", TEXT),
    ("'x'.matches('((((a{1000}){1000}){1000}){1000})')", None),
    ("'x'.matches('(a{50000})(b{50000})')", None),
    ("'x'.matches('" + "(a?)" * 600 + "')", None),
    # Paths that are walked again for each item.
    ("descendants().where(%resource.entry.resource.name.given.exists())", BUNDLE),
    ("descendants().where(%resource.entry.link.exists())", BUNDLE),
    ("entry.select(%resource.entry.resource).select(name)", BUNDLE),
    ("entry.repeat(%resource.entry)", BUNDLE),
    ("entry.all(%resource.entry.all(%resource.entry.all(true)))", BUNDLE),
    ("entry.aggregate($total.combine($total).combine($this), 1)", BUNDLE),
    ("(0).repeat($this + 1)", None),
    # Elements that differ only at their ends, compared each with each.
    ("extension.distinct()", TWINS),
    ("extension.intersect(%resource.extension)", TWINS),
    ("extension.subsetOf(%resource.extension)", TWINS),
    ("descendants().where(%resource.extension[0] = %resource.extension[1])", TWINS),
    ("descendants().where(%resource.extension[0] ~ %resource.extension[1])", TWINS),
]


@pytest.mark.parametrize(
    ("expression", "resource"), COSTLY, ids=[expression[:60] for expression, _ in COSTLY]
)
def test_what_costs_too_much_is_refused_in_time(expression: str, resource: Any) -> None:
    started = time.process_time()
    with pytest.raises(OutcomeError) as caught:
        compile(expression)(resource)
    assert caught.value.issues[0].code == "too-costly"
    assert time.process_time() - started < 4


def test_what_is_asked_in_earnest_is_answered() -> None:
    assert compile("entry.resource.name.given.count()")(BUNDLE) == [4000]
    assert compile("descendants().count() > 10000")(BUNDLE) == [True]
    assert compile("entry.fullUrl.isDistinct()")(BUNDLE) == [True]
    assert compile("entry.where(fullUrl = %resource.entry.first().fullUrl).count()")(BUNDLE) == [1]
    assert compile("name.family.matches('^a{1,64}')")(TEXT) == [True]
    assert compile("extension = %resource.extension")(TWINS) == [True]


@pytest.mark.parametrize(
    ("written", "expected"),
    [("abc", 3), ("a{3}", 3), ("a{2,5}b", 6), ("(ab){10}", 20), ("((a{10}){10}){10}", 1000), (r"\({2}[{9}]{3}", 5), ("a{,4}", 4), ("a*", 2)],
)  # fmt: skip
def test_copies_are_counted(written: str, expected: int) -> None:
    assert copies(written) == expected


@given(st.text(alphabet="ab(){}[]\\|*+?,0123456789^$.", max_size=60))
def test_any_pattern_is_compiled_or_refused(written: str) -> None:
    with suppress(OutcomeError):
        assert pattern_of(written).pattern == written
