from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from careloom.fhir.clause import Chain, Criterion, Has
from careloom.fhir.outcome import OutcomeError
from careloom.fhir.query import Include, Query, Sort, parse
from careloom.fhir.queryvalue import (
    Amount,
    Composite,
    Missing,
    Moment,
    Reference,
    Text,
    Token,
    TypedIdentifier,
    Uri,
    Value,
)
from careloom.fhir.searchparam import parameters


def only(rtype: str, name: str, text: str) -> Criterion:
    (criterion,) = parse(rtype, [(name, text)], strict=True).criteria
    assert isinstance(criterion, Criterion)
    return criterion


def found(rtype: str, name: str, text: str) -> tuple[Value, ...]:
    return only(rtype, name, text).values


def refusal(rtype: str, name: str, text: str) -> str:
    with pytest.raises(OutcomeError) as raised:
        parse(rtype, [(name, text)], strict=False)
    assert name.partition(":")[0].partition(".")[0] in str(raised.value)
    return raised.value.issues[0].code


def test_a_token_may_name_a_system_forbid_it_or_leave_it_open() -> None:
    assert found("Condition", "code", "urn:s|1,2,|3,urn:s|") == (
        Token("urn:s", "1"),
        Token(None, "2"),
        Token("", "3"),
        Token("urn:s", None),
    )
    assert refusal("Condition", "code", "|") == "value"
    assert refusal("Condition", "code", "a|b|c") == "value"


def test_the_system_that_a_code_element_implies_may_be_named() -> None:
    system = "http://hl7.org/fhir/administrative-gender"
    assert found("Patient", "gender", f"{system}|male") == (Token(None, "male"),)
    assert found("Patient", "gender", "urn:other|male") == (Token("urn:other", "male"),)


def test_escaped_signs_are_part_of_the_value() -> None:
    assert found("Condition", "code", r"a\,b,c\|d,e\\,\$") == (
        Token(None, "a,b"),
        Token(None, "c|d"),
        Token(None, "e\\"),
        Token(None, "$"),
    )


def test_strings_carry_both_the_text_and_what_the_index_holds() -> None:
    assert found("Patient", "name:exact", "Zoë") == (Text("Zoë", "zoe"),)
    assert only("Patient", "name:contains", "x").modifier == "contains"


def test_modifiers_read_their_own_values() -> None:
    assert found("Patient", "birthdate:missing", "true") == (Missing(is_missing=True),)
    assert found("Observation", "code:text", "Héart") == (Text("Héart", "heart"),)
    assert found("Observation", "code:in", "http://v|1") == (Uri("http://v|1"),)
    assert found("Patient", "identifier:of-type", "s|MR|7") == (TypedIdentifier("s", "MR", "7"),)
    assert found("Observation", "subject:identifier", "urn:mrn|7") == (Token("urn:mrn", "7"),)
    assert only("Observation", "status:not", "final").modifier == "not"


@pytest.mark.parametrize(
    ("rtype", "name", "text", "code"),
    [
        ("Patient", "birthdate:exact", "2020", "not-supported"),
        ("Patient", "gender:contains", "m", "not-supported"),
        ("Observation", "subject:Medication", "1", "not-supported"),
        ("Patient", "birthdate:missing", "yes", "value"),
        ("Patient", "birthdate", "2020-02-30", "value"),
        ("Patient", "birthdate", "xx2020", "value"),
        ("Observation", "value-quantity", "5|mg", "value"),
        ("Observation", "value-quantity", "five", "value"),
        ("Observation", "value-quantity", "1e999", "value"),
        ("Observation", "code-value-quantity", "8480-6", "value"),
        ("Observation", "code-value-quantity", "8480-6$", "value"),
        ("Observation", "code.text", "x", "value"),
        ("Patient", "_count", "-1", "value"),
        ("Patient", "_count", "ten", "value"),
        ("Patient", "_sort", "shoe", "value"),
        ("Patient", "_include", "Patient", "value"),
        ("Patient", "_include", "Patient:name", "value"),
        ("Patient", "_include:often", "Patient:organization", "not-supported"),
        ("Patient", "_summary", "brief", "value"),
        ("Patient", "_total", "some", "value"),
        ("Patient", "_has:Observation:code", "x", "value"),
        ("Patient", "_has:Observation:code:status", "x", "value"),
        ("Observation", "subject:Person.name", "x", "not-supported"),
    ],
)
def test_what_cannot_be_read_is_refused_by_the_name_of_its_parameter(
    rtype: str, name: str, text: str, code: str
) -> None:
    assert refusal(rtype, name, text) == code


def test_dates_are_spans_with_a_prefix() -> None:
    start, end = datetime(2020, 1, 1, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)
    assert found("Patient", "birthdate", "2020") == (Moment("eq", start, end),)
    assert found("Patient", "birthdate", "ge2020") == (Moment("ge", start, end),)
    assert [
        c.parameter.code for c in parse("Patient", [("_lastUpdated", "gt2020")], strict=True).criteria
    ] == ["_lastUpdated"]  # type: ignore[union-attr]


def test_the_digits_of_a_number_say_how_wide_it_is() -> None:
    assert found("Observation", "value-quantity", "5.4|http://unitsofmeasure.org|mg") == (
        Amount("eq", 5.4, 5.35, 5.45, "http://unitsofmeasure.org", "mg"),
    )
    assert found("Observation", "value-quantity", "lt100||mg") == (
        Amount("lt", 100.0, 99.5, 100.5, None, "mg"),
    )
    assert found("RiskAssessment", "probability", "1e2") == (Amount("eq", 100.0, 50.0, 150.0),)
    assert found("RiskAssessment", "probability", "ap10") == (Amount("ap", 10.0, 9.0, 11.0),)


def test_a_reference_becomes_the_keys_it_may_stand_under() -> None:
    assert found("Observation", "subject", "Patient/7,http://x/Patient/7") == (
        Reference(("Patient/7",)),
        Reference(("http://x/Patient/7",)),
    )
    assert found("Observation", "subject:Patient", "7") == (Reference(("Patient/7",)),)
    (bare,) = found("Observation", "subject", "7")
    assert isinstance(bare, Reference)
    assert set(bare.keys) == {"Patient/7", "Group/7", "Device/7", "Location/7"}
    query = parse(
        "Observation", [("subject", "http://me/fhir/Patient/7")], strict=True, base="http://me/fhir"
    )
    assert query.criteria == (
        Criterion(parameters("Observation")["subject"], "", (Reference(("Patient/7",)),)),
    )


def test_composites_read_each_part_by_its_component() -> None:
    (value,) = found("Observation", "code-value-quantity", "http://loinc.org|8480-6$gt140||mm[Hg]")
    assert value == Composite(
        (Token("http://loinc.org", "8480-6"), Amount("gt", 140.0, 139.5, 140.5, None, "mm[Hg]"))
    )


def test_uris_are_taken_whole() -> None:
    assert found("ValueSet", "url:below", "http://a") == (Uri("http://a"),)


def test_a_chain_branches_into_every_type_that_knows_the_parameter() -> None:
    (chain,) = parse("Observation", [("subject.name", "ada")], strict=True).criteria
    assert isinstance(chain, Chain)
    assert [rtype for rtype, _ in chain.branches] == ["Location"] or {r for r, _ in chain.branches} >= {
        "Patient"
    }
    (chain,) = parse("Observation", [("subject:Patient.organization.name:exact", "h")], strict=True).criteria
    assert isinstance(chain, Chain)
    ((rtype, second),) = chain.branches
    assert rtype == "Patient"
    assert isinstance(second, Chain)
    ((_, last),) = second.branches
    assert last == Criterion(parameters("Organization")["name"], "exact", (Text("h", "h"),))


def test_has_is_a_clause_on_those_who_refer_back() -> None:
    (has,) = parse(
        "Patient", [("_has:Observation:patient:_has:AuditEvent:entity:agent", "Practitioner/1")], strict=True
    ).criteria
    assert isinstance(has, Has)
    assert (has.rtype, has.parameter.code) == ("Observation", "patient")
    assert isinstance(has.clause, Has)
    assert has.clause.clause == Criterion(
        parameters("AuditEvent")["agent"], "", (Reference(("Practitioner/1",)),)
    )


def test_a_long_chain_is_refused_and_a_wide_one_stays_quick() -> None:
    with pytest.raises(OutcomeError) as raised:
        parse("Task", [("focus." * 50 + "_id", "1")], strict=True)
    assert raised.value.issues[0].code == "too-costly"
    start = time.process_time()
    parse("Task", [("focus.focus.focus.focus._id", "1")], strict=True)
    assert time.process_time() - start < 1


def test_the_controls_of_a_search_are_read() -> None:
    pairs = [
        ("_count", "20"),
        ("_sort", "-date,status"),
        ("_include", "Observation:subject:Patient"),
        ("_include:iterate", "Patient:organization"),
        ("_revinclude", "Provenance:target"),
        ("_include", "*"),
        ("_elements", "code,status"),
        ("_summary", "false"),
        ("_total", "accurate"),
        ("_cursor", "abc"),
        ("_format", "json"),
    ]
    known = parameters("Observation")
    assert parse("Observation", pairs, strict=True) == Query(
        rtype="Observation",
        count=20,
        sort=(Sort(known["date"], is_descending=True), Sort(known["status"], is_descending=False)),
        includes=(
            Include("Observation", known["subject"], "Patient"),
            Include("Patient", parameters("Patient")["organization"], iterate=True),
            Include("Observation", None),
        ),
        revincludes=(Include("Provenance", parameters("Provenance")["target"]),),
        elements=("code", "status"),
        summary="false",
        total="accurate",
        cursor="abc",
    )


def test_unknown_and_empty_parameters_are_named_or_refused() -> None:
    pairs = [("shoe", "7"), ("name", ""), ("_list:not", ""), ("gender", "male")]
    query = parse("Patient", pairs, strict=False)
    assert query.ignored == ("shoe", "name", "_list:not")
    assert len(query.criteria) == 1
    for pair in pairs[:3]:
        with pytest.raises(OutcomeError, match=pair[0]):
            parse("Patient", [pair], strict=True)


def test_an_error_never_repeats_the_value() -> None:
    with pytest.raises(OutcomeError) as raised:
        parse("Patient", [("birthdate", "SECRET")], strict=True)
    assert "SECRET" not in repr(raised.value.issues)


NAMES = st.sampled_from(
    [
        "code",
        "subject",
        "subject:Patient.name",
        "date",
        "value-quantity",
        "_has:Provenance:target:agent",
        "_sort",
        "_count",
        "_total",
        "_id",
        "code-value-quantity",
        "_include",
        "_revinclude:iterate",
        "combo-code:not",
        "_lastUpdated",
    ]
)


@given(
    st.sampled_from(["Observation", "Patient", "Resource", "Bundle"]),
    st.lists(
        st.tuples(
            NAMES | st.text(max_size=20),
            st.text(alphabet="ab0129.,|$\\-:/TZ ge\u00e9", max_size=20) | st.text(max_size=12),
        )
    ),
    st.booleans(),
)
@example("Observation", [("subject.", "x"), ("_has:::", "x"), (":", "x"), (".", "x")], False)
@example("Observation", [("value-quantity", "ap0"), ("date", "sa0001")], True)
def test_any_parameters_give_a_query_or_an_outcome(
    rtype: str, pairs: list[tuple[str, str]], strict: bool
) -> None:
    try:
        query = parse(rtype, pairs, strict=strict)
    except OutcomeError:
        return
    assert query == parse(rtype, pairs, strict=strict)
    hash(query)


# U+0000 stands in no text of FHIR and is refused.
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=6)


@given(st.lists(WORDS.filter(lambda text: not text.isspace()), min_size=1, max_size=4))
def test_escaping_and_joining_values_is_undone_by_reading_them(codes: list[str]) -> None:
    def escaped(text: str) -> str:
        for sign in "\\,|$":
            text = text.replace(sign, "\\" + sign)
        return text

    assert found("Condition", "code", ",".join(map(escaped, codes))) == tuple(
        Token(None, code) for code in codes
    )
