from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careloom.fhir.clause import Chain, Criterion, Junction, Negation
from careloom.fhir.filter import filter_of
from careloom.fhir.fulltext import content_words, is_found, narrative_words
from careloom.fhir.outcome import OutcomeError
from careloom.fhir.queryvalue import Amount, Missing, Moment, Text, Token
from careloom.fhir.searchparam import parameters

PATIENT = parameters("Patient")


def test_and_binds_closer_than_or_and_not_stands_before_brackets() -> None:
    clause = filter_of("Patient", 'active eq true or gender eq male and not (name co "Pet,er")')
    assert isinstance(clause, Junction)
    assert not clause.is_all
    both = clause.clauses[1]
    assert isinstance(both, Junction)
    assert both.is_all
    negation = both.clauses[1]
    assert negation == Negation(Criterion(PATIENT["name"], "contains", (Text("Pet,er", "pet,er"),)))


def test_each_operator_says_what_a_parameter_would_or_what_only_a_filter_can() -> None:
    def one(text: str) -> Criterion:
        found = filter_of("Observation", text)
        assert isinstance(found, Criterion)
        return found

    assert one("date ge 2020").values == (Moment("ge", *_year(2020)),)
    assert one("date po 2020").values == (Moment("po", *_year(2020)),)
    assert one("value-quantity gt 5.4").values == (Amount("gt", 5.4, 5.35, 5.45),)
    assert one("code eq http://loinc.org|8867-4").values == (Token("http://loinc.org", "8867-4"),)
    assert one('value-string ew "Ö"').modifier == "=ew"
    assert one("status ne final").modifier == "=ne"
    assert one("subject pr false").values == (Missing(is_missing=True),)


def _year(year: int) -> tuple[object, object]:
    from datetime import UTC, datetime

    return datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)


def test_a_filter_in_brackets_and_the_path_behind_it_are_about_one_and_the_same_resource() -> None:
    clause = filter_of("Observation", 'subject:Patient[gender eq male].name sw "a"')
    assert isinstance(clause, Chain)
    ((rtype, inner),) = clause.branches
    assert rtype == "Patient"
    assert isinstance(inner, Junction)
    assert inner.is_all
    assert len(inner.clauses) == 2
    chain = filter_of("Observation", 'subject.name sw "a"')
    assert isinstance(chain, Chain)
    assert "Patient" in dict(chain.branches)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('name eq "x', "value"),
        ("name eq", "value"),
        ("(active eq true", "value"),
        ("active eq true)", "value"),
        ("shoe eq 7", "not-supported"),
        ("active gt true", "not-supported"),
        ("active xx true", "not-supported"),
        ("active[gender eq male].x eq 1", "value"),
        ("not (" * 30 + "active eq true" + ")" * 30, "too-costly"),
        ("active eq true or " * 300 + "active eq true", "too-costly"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(text: str, code: str) -> None:
    with pytest.raises(OutcomeError) as raised:
        filter_of("Patient", text)
    assert raised.value.issues[0].code == code


@given(st.text(alphabet='ab ()[]"\\.eqornt', max_size=40))
def test_any_text_gives_a_clause_or_an_outcome(text: str) -> None:
    try:
        assert filter_of("Patient", text) == filter_of("Patient", text)
    except OutcomeError:
        return


def test_words_are_found_whole_without_case_accents_or_tags() -> None:
    resource = {
        "resourceType": "Patient",
        "text": {"div": "<div>Broken&nbsp;<b>Fémur</b></div>"},
        "name": [{"family": "Ng"}],
    }
    narrative, content = narrative_words(resource), content_words(resource)
    assert is_found("femur", narrative)
    assert is_found('"BROKEN femur"', narrative)
    assert not is_found("fem", narrative)
    assert not is_found("ng", narrative)
    assert is_found("(liver OR ng) and broken", content)
    assert not is_found("liver or (ng and lung)", content)
    for question in ("", "(a", "a)"):
        with pytest.raises(OutcomeError):
            is_found(question, narrative)
