"""Raw messages and resources, laid out so that every field can be pointed at."""

from __future__ import annotations

import re
from decimal import Decimal
from html import unescape

from hypothesis import given, settings
from hypothesis import strategies as st

from careloom.store.ledger import LedgerLine
from careloom.unify.hl7v2.message import parse
from careloom.web.exhibit import hl7, plain, resources_of, tree

ORU = (
    b"MSH|^~\\&|EHR|CITY|||20261125042100||ORU^R01|M1|P|2.5.1\r"
    b"PID|1||4711^^^CITY^MR~99^^^NHS^NI||O<script>KAFOR^Ada||19800503|F\r"
    b"OBX|1|NM|8867-4^Heart rate^LN||118|/min\rOBX|2|NM|9279-1^Respiratory rate^LN||26|/min\r"
)


def test_every_leaf_of_a_message_carries_the_address_of_the_ledger() -> None:
    html, said = hl7(ORU, {"PID-5[1].1": "mapped"})
    shown = re.findall(r'data-where="([^"]+)"', html)
    message = parse(ORU)
    leaves = [message.address(position) for position, _ in message.leaves()]
    assert [where for where in leaves if where != "MSH-1"] == shown
    assert "OBX#2-5" in shown
    assert said == "HL7 v2, 4 segments, UTF-8"


def test_markup_in_a_message_is_shown_and_not_obeyed() -> None:
    html, _ = hl7(ORU, {})
    assert "<script>" not in html
    assert "O&lt;script&gt;KAFOR" in html


def test_the_text_of_the_exhibit_is_the_message() -> None:
    html, _ = hl7(ORU, {})
    text = unescape(re.sub(r"<[^>]+>", "", str(html)))
    assert text == ORU.decode().replace("\r", "")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_break_the_page(body: bytes) -> None:
    hl7(body, {})
    plain(body)


def test_each_leaf_of_a_resource_carries_its_path_and_its_digits() -> None:
    resource = {
        "resourceType": "Observation",
        "id": "7",
        "valueQuantity": {"value": Decimal("1.50"), "unit": "mg"},
        "code": {"coding": [{"code": "x"}, {"code": "y"}]},
        "valueBoolean": True,
    }
    html = tree(resource)
    assert re.findall(r'data-path="([^"]+)"', html)[2:4] == [
        "Observation/7.valueQuantity.value",
        "Observation/7.valueQuantity.unit",
    ]
    assert 'data-path="Observation/7.code.coding[1].code">y<' in html
    assert ">1.50<" in html
    assert ">true<" in html


def test_the_resources_of_a_message_are_read_from_its_ledger_once_each() -> None:
    lines = (
        LedgerLine("PID-5", "mapped", "Patient/a.name[0].family"),
        LedgerLine("PID-7", "mapped", "Patient/a.birthDate"),
        LedgerLine("OBX-5", "mapped", "Observation/b.valueQuantity.value"),
        LedgerLine("ZZZ-1", "rejected", "Patient/c is not a target here"),
    )
    assert resources_of(lines) == ["Patient/a", "Observation/b"]
