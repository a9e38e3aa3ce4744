"""FHIR XML: what is read is what JSON says, what is written is read again, and nothing else comes in."""

from __future__ import annotations

import contextlib
import time
import tracemalloc
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from careloom.fhir import xml
from careloom.fhir.outcome import OutcomeError
from careloom.fhir.resource import loads
from careloom.fhir.validate import validate
from careloom.fhir.xml.slot import MAX_DEPTH

DIV = '<div xmlns="http://www.w3.org/1999/xhtml"><p id="a">1 &lt; 2 &#169; <!-- kept --><br/></p></div>'
PATIENT_XML = f"""<?xml version="1.0" encoding="UTF-8"?>
<!-- dropped -->
<Patient xmlns="http://hl7.org/fhir" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    xsi:schemaLocation="http://hl7.org/fhir ../fhir-all.xsd">
  <id value="p"/>
  <text><status value="generated"/>{DIV}</text>
  <contained><Organization><id value="o"/><name value="A &amp; B&#10;C"/></Organization></contained>
  <extension url="urn:weight"><valueDecimal value="1.50"/></extension>
  <active value="true"/>
  <name id="n1">
    <family value="Doe"/>
    <given value="A"/>
    <given id="g2" value="B"><!-- dropped --><extension url="urn:x"><valueCode value="y"/></extension></given>
    <given><extension url="urn:x"><valueCode value="z"/></extension></given>
    <given value="D"/>
  </name>
  <birthDate><extension url="urn:time"><valueDateTime value="1980-02-01T10:00:00Z"/></extension></birthDate>
  <multipleBirthInteger value="2"/>
  <managingOrganization><reference value="#o"/></managingOrganization>
</Patient>"""
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p",
    "text": {"status": "generated", "div": DIV},
    "contained": [{"resourceType": "Organization", "id": "o", "name": "A & B\nC"}],
    "extension": [{"url": "urn:weight", "valueDecimal": Decimal("1.50")}],
    "active": True,
    "name": [
        {
            "id": "n1",
            "family": "Doe",
            "given": ["A", "B", None, "D"],
            "_given": [
                None,
                {"id": "g2", "extension": [{"url": "urn:x", "valueCode": "y"}]},
                {"extension": [{"url": "urn:x", "valueCode": "z"}]},
                None,
            ],
        }
    ],
    "_birthDate": {"extension": [{"url": "urn:time", "valueDateTime": "1980-02-01T10:00:00Z"}]},
    "multipleBirthInteger": 2,
    "managingOrganization": {"reference": "#o"},
}


def read(inner: str, rtype: str = "Patient") -> Any:
    return xml.loads(f'<{rtype} xmlns="http://hl7.org/fhir">\n{inner}</{rtype}>')


def refused(body: bytes | str) -> tuple[str, str, str]:
    with pytest.raises(OutcomeError) as caught:
        xml.loads(body)
    issue = caught.value.issues[0]
    return issue.code, issue.text, issue.expression


def test_xml_is_read_as_json_has_it() -> None:
    resource = xml.loads(PATIENT_XML)
    assert resource == PATIENT
    assert str(resource["extension"][0]["valueDecimal"]) == "1.50"
    assert validate(resource) == []


def test_what_is_written_is_read_again_and_its_order_is_that_of_the_standard() -> None:
    shuffled = dict(reversed(PATIENT.items()))
    for body in (xml.dumps(PATIENT), xml.dumps(shuffled, pretty=True)):
        assert xml.loads(body) == PATIENT
    assert xml.dumps(shuffled) == xml.dumps(PATIENT) == xml.dumps(xml.loads(xml.dumps(PATIENT)))
    assert b"\n  <active" in xml.dumps(PATIENT, pretty=True)


def test_a_bundle_and_parameters_hold_resources() -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "batch-response",
        "entry": [
            {"resource": PATIENT, "response": {"status": "200", "outcome": {"resourceType": "OperationOutcome", "issue": []}}},
            {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Parameters", "parameter": [{"name": "a", "resource": PATIENT, "part": [{"name": "b", "valueUri": "urn:x"}]}]}},
        ],
    }  # fmt: skip
    bundle["entry"][0]["response"]["outcome"]["issue"] = [{"severity": "error", "code": "value"}]
    assert xml.loads(xml.dumps(bundle)) == bundle


@pytest.mark.parametrize(
    ("text", "value"),
    [("1.50", Decimal("1.50")), ("1", 1), ("-0.00", Decimal("-0.00")), ("0.00000001", Decimal("1E-8")), ("1E3", Decimal("1E+3"))],
)  # fmt: skip
def test_decimals_keep_their_digits(text: str, value: Decimal | int) -> None:
    body = f'<valueQuantity><value value="{text}"/></valueQuantity>'
    found = read(body, "Observation")["valueQuantity"]["value"]
    assert (type(found), str(found)) == (type(value), str(value))
    assert xml.loads(xml.dumps({"resourceType": "Observation", "valueQuantity": {"value": found}})) == {
        "resourceType": "Observation",
        "valueQuantity": {"value": value},
    }


def test_any_prefix_may_name_the_namespaces() -> None:
    body = """<f:Basic xmlns:f="http://hl7.org/fhir" xmlns:h="http://www.w3.org/1999/xhtml"><f:text>
      <f:status value="generated"/><h:div><h:p class="a&quot;b">1 &lt; 2<h:br/></h:p></h:div></f:text></f:Basic>"""
    div = '<div xmlns="http://www.w3.org/1999/xhtml"><p class=\'a"b\'>1 &lt; 2<br></br></p></div>'
    resource = xml.loads(body)
    assert resource["text"]["div"] == div
    assert xml.loads(xml.dumps(resource)) == resource


@pytest.mark.parametrize(
    ("div", "written"),
    [
        ("<div>x</div>", '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'),
        ('<div lang="en"/>', '<div xmlns="http://www.w3.org/1999/xhtml" lang="en"/>'),
        ('<div xmlns="http://www.w3.org/1999/xhtml">a&nbsp;&LT;b&gt;</div>', '<div xmlns="http://www.w3.org/1999/xhtml">a&#160;&#60;b&gt;</div>'),
        ('<div xmlns="http://www.w3.org/1999/xhtml">a\r\nb\r</div>', '<div xmlns="http://www.w3.org/1999/xhtml">a\nb\n</div>'),
    ],
)  # fmt: skip
def test_a_narrative_of_json_is_made_fit_for_xml(div: str, written: str) -> None:
    body = xml.dumps({"resourceType": "Basic", "text": {"status": "generated", "div": div}})
    assert written.encode() in body
    again = xml.loads(body)
    assert xml.dumps(again) == body


@pytest.mark.parametrize(
    "div",
    [
        "text",
        "<div>",
        "<div></div></text><active value='true'/><text>",
        "<div>&unknown;</div>",
        '<div xmlns="urn:x">x</div>',
        "<div><x:p>x</x:p></div>",
        7,
        None,
        "<div>\ud800</div>",
        '<div>x</div><div xmlns="http://hl7.org/fhir"/>',
    ],
)
def test_a_narrative_that_is_no_div_is_not_written(div: Any) -> None:
    with pytest.raises(OutcomeError):
        xml.dumps({"resourceType": "Basic", "text": {"status": "generated", "div": div}})


@pytest.mark.parametrize(
    ("inner", "code", "says", "where"),
    [
        ('<shoe value="7"/>', "structure", "no element shoe", "Patient"),
        ('<gender value="male"/>\n<active value="true"/>', "structure", "too late: R4 gives the order of elements (line 3, column 1)", "Patient.active"),
        ('<gender value="male"/><gender value="male"/>', "structure", "only once", "Patient.gender"),
        ('<maritalStatus><text value="a"/></maritalStatus><maritalStatus/>', "structure", "only once", "Patient.maritalStatus"),
        ("<gender/>", "structure", "empty", "Patient.gender"),
        ("<name/>", "structure", "empty", "Patient.name"),
        ("<gender>male</gender>", "structure", "Text stands between elements", "Patient.gender"),
        ("male", "structure", "Text stands between elements", "Patient"),
        ('<active value="yes"/>', "value", "type boolean (line 2, column 1)", "Patient.active"),
        ('<multipleBirthInteger value="1.0"/>', "value", "type integer", "Patient.multipleBirthInteger"),
        ('<multipleBirthInteger value="' + "9" * 10_000 + '"/>', "value", "type integer", "Patient.multipleBirthInteger"),
        ('<gender value="male" code="x"/>', "structure", "no attribute code", "Patient.gender"),
        ('<name use="x"><family value="y"/></name>', "structure", "no attribute use", "Patient.name"),
        ('<name value="x"/>', "structure", "no attribute value", "Patient.name"),
        ('<gender value="male"><value value="x"/></gender>', "structure", "no element value", "Patient.gender"),
        ('<contained><Shoe/></contained>', "structure", "R4 resource type", "Patient.contained"),
        ("<contained/>", "structure", "empty", "Patient.contained"),
        ('<contained id="x"><Basic><id value="a"/></Basic></contained>', "structure", "no attribute id", "Patient.contained"),
        ('<contained><Basic><id value="a"/></Basic><Basic><id value="b"/></Basic></contained>', "structure", "one resource", "Patient.contained"),
        ('<x:active xmlns:x="urn:x" value="true"/>', "structure", "namespace", "Patient"),
        ('<text><div>x</div></text>', "structure", "no element div", "Patient.text"),
        ('<text><div xmlns="http://www.w3.org/1999/xhtml"><p xmlns="urn:x"/></div></text>', "structure", "namespace", ""),
    ],
)  # fmt: skip
def test_each_fault_is_named_by_its_place(inner: str, code: str, says: str, where: str) -> None:
    found, text, expression = refused(f'<Patient xmlns="http://hl7.org/fhir">\n{inner}</Patient>')
    assert (found, expression) == (code, where)
    assert says in text


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not XML: no element found (line 1, column 1)"),
        (b'<Patient xmlns="http://hl7.org/fhir">\n<active value="true"></Patient>', "mismatched tag (line 2, column 24)"),
        (b"<Patient/>", "namespace http://hl7.org/fhir"),
        (b'<Shoe xmlns="http://hl7.org/fhir"/>', "resource type"),
        ('<?xml version="1.0" encoding="ISO-8859-1"?><Basic xmlns="http://hl7.org/fhir"/>', "UTF-8"),
        ('<Basic xmlns="http://hl7.org/fhir"/>'.encode("utf-16"), "UTF-8"),
        ("\ud800", "half a character"),
    ],
)  # fmt: skip
def test_what_is_no_resource_is_refused(body: bytes | str, says: str) -> None:
    assert says in refused(body)[1]


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
BASIC = '<Basic xmlns="http://hl7.org/fhir"><id value="{}"/></Basic>'


@pytest.mark.parametrize(
    "body",
    [
        f'<!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]>{BASIC.format("&l9;")}',
        '<!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + BASIC.format("&x;"),
        '<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd">' + BASIC.format("a"),
        '<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1:1/x"> %p;]>' + BASIC.format("a"),
        "<!DOCTYPE Basic>" + BASIC.format("a"),
    ],
)
def test_a_document_type_declaration_is_refused_at_once(body: str) -> None:
    start = time.process_time()
    code, text, _ = refused(body)
    assert (code, "document type" in text) == ("structure", True)
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize(
    "piece",
    [
        ('<extension url="urn:x">', "</extension>"),
        ("<contained><Basic>", "</Basic></contained>"),
    ],
)
def test_deep_nesting_is_refused(piece: tuple[str, str]) -> None:
    body = f'<Basic xmlns="http://hl7.org/fhir">{piece[0] * 50_000}{piece[1] * 50_000}</Basic>'
    assert refused(body)[0] == "too-costly"
    div = f'<div xmlns="http://www.w3.org/1999/xhtml">{"<b>" * 50_000}{"</b>" * 50_000}</div>'
    assert refused(f'<Basic xmlns="http://hl7.org/fhir"><text>{div}</text></Basic>')[0] == "too-costly"


def test_deep_json_is_not_written() -> None:
    extension: dict[str, Any] = {"url": "urn:x", "valueString": "x"}
    for _ in range(MAX_DEPTH + 1):
        extension = {"url": "urn:x", "extension": [extension]}
    with pytest.raises(OutcomeError, match="nested too deeply"):
        xml.dumps({"resourceType": "Basic", "extension": [extension]})


def test_a_huge_document_costs_in_proportion_to_its_size() -> None:
    name = '<name id="n"><given value="A"/><given><extension url="urn:x"><valueCode value="y"/></extension></given></name>'
    costs = []
    for count in (2_000, 20_000):
        body = f'<Patient xmlns="http://hl7.org/fhir">{name * count}</Patient>'
        tracemalloc.start()
        xml.loads(body)
        costs.append(tracemalloc.get_traced_memory()[1] / len(body))
        tracemalloc.stop()
    assert costs[1] < 1.3 * costs[0] < 1.3 * 40


@pytest.mark.parametrize(
    "resource",
    [
        {},
        {"resourceType": "Shoe"},
        [],
        None,
        {"resourceType": ["Patient"]},
        {"resourceType": "Patient", "shoe": 1},
        {"resourceType": "Patient", "_name": [{}]},
        {"resourceType": "Patient", "name": {"family": "x"}},
        {"resourceType": "Patient", "gender": ["x"]},
        {"resourceType": "Patient", "gender": None},
        {"resourceType": "Patient", "gender": "a\x00"},
        {"resourceType": "Patient", "gender": "a\ud800"},
        {"resourceType": "Patient", "name": [{"given": ["a"], "_given": [None, {"id": "x"}]}]},
        {"resourceType": "Patient", "name": [{"given": "a"}]},
        {"resourceType": "Patient", "name": [{"given": [None]}]},
        {"resourceType": "Patient", "name": ["x"]},
        {"resourceType": "Patient", "name": [{"given": None}]},
        {"resourceType": "Patient", "extension": [{"url": 7}]},
        {"resourceType": "Patient", "contained": ["x"]},
        {"resourceType": "Observation", "valueQuantity": {"value": float("nan")}},
        {"resourceType": "Observation", "valueQuantity": {"value": Decimal("Infinity")}},
    ],
)
def test_json_that_xml_cannot_hold_is_refused(resource: Any) -> None:
    with pytest.raises(OutcomeError):
        xml.dumps(resource)


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_any_text_comes_back_or_is_refused(text: str) -> None:
    resource = {"resourceType": "Basic", "language": text, "extension": [{"url": text, "valueString": text}]}
    try:
        body = xml.dumps(resource)
    except OutcomeError:
        assert any(ord(character) < 32 or ord(character) in {0xFFFE, 0xFFFF} for character in text)
    else:
        assert xml.loads(body) == resource


@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_are_a_resource_or_refused(body: bytes) -> None:
    with contextlib.suppress(OutcomeError):
        assert xml.loads(body)["resourceType"]


PIECES = ["<", ">", "</", "/>", '="', '"', " value", " id", "text", "div", "name", "given", "extension", "Patient", "&#10;", "&x;", "<!--", "-->", "<![CDATA[", "]]>", ' xmlns="http://www.w3.org/1999/xhtml"', "<contained><Basic>"]  # fmt: skip


@settings(max_examples=300)
@given(st.data())
def test_a_broken_document_never_raises_anything_else(data: st.DataObject) -> None:
    body = PATIENT_XML
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(body)))
        end = start + data.draw(st.sampled_from([0, 0, 1, 5, 40]))
        body = body[:start] + data.draw(st.sampled_from(PIECES)) + body[end:]
    try:
        resource = xml.loads(body)
    except OutcomeError:
        return
    if not validate(resource):
        assert xml.loads(xml.dumps(resource)) == resource


@pytest.mark.conformance
def test_every_official_example_comes_back_from_xml(r4_examples: dict[str, bytes]) -> None:
    for name, raw in r4_examples.items():
        resource = loads(raw)
        body = xml.dumps(resource)
        again = xml.loads(body)
        assert xml.dumps(again) == body, name
        assert again == with_one_line_end(resource), name


def with_one_line_end(value: Any) -> Any:
    """XML has one kind of line end in a narrative (XML 1.0, section 2.11)."""
    if isinstance(value, list):
        return [with_one_line_end(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: item.replace("\r\n", "\n").replace("\r", "\n") if key == "div" else with_one_line_end(item)
        for key, item in value.items()
    }
