"""What the ER7 parser promises."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from careloom.fhir.outcome import OutcomeError
from careloom.unify.hl7v2.escape import Delimiters, escape, unescape
from careloom.unify.hl7v2.message import messages_in, parse, print_message

HEADER = "MSH|^~\\&|EHR|WEST|LAB||20240301101500||ADT^A01|1|P|2.5"


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_every_line_end_is_read(end: str) -> None:
    message = parse(f"{HEADER}{end}PID|1||7{end}{end}PV1|1|I")
    assert [segment.name for segment in message.segments] == ["MSH", "PID", "PV1"]


@pytest.mark.parametrize("lead", [b"\xef\xbb\xbf", b"\x0b", b" \r\n", b"\xef\xbb\xbf\n"])
def test_what_stands_before_msh_is_left_out(lead: bytes) -> None:
    assert parse(lead + HEADER.encode() + b"\r\x1c\r").get("MSH-10") == "1"


def test_positions_reach_each_level() -> None:
    message = parse(f"{HEADER}\rPID|1||7^^^A&1.2&ISO^MR~8\rOBX|1\rOBX|2||X")
    assert message.get("MSH-1") == "|"
    assert message.get("MSH-2") == "^~\\&"
    assert message.get("PID-3[1].4.2") == "1.2"
    assert message.get("PID-3[2]") == "8"
    assert message.get("OBX#2-3") == "X"
    assert message.get("PID-3[3]") == ""
    assert message.get("ZZZ-1") == ""
    with pytest.raises(ValueError, match="no HL7 v2 address"):
        message.get("PID.3")


def test_addresses_of_leaves_are_short_and_read_back() -> None:
    message = parse(f"{HEADER}\rPID|1||7^^^A&1.2~8\rNK1|1\rNK1|2|DOE^A")
    addresses = [message.address(position) for position, _ in message.leaves()]
    assert addresses[-8:] == [
        "PID-3[1].1",
        "PID-3[1].4.1",
        "PID-3[1].4.2",
        "PID-3[2]",
        "NK1#1-1",
        "NK1#2-1",
        "NK1#2-2[1].1",
        "NK1#2-2[1].2",
    ]
    for position, text in message.leaves():
        assert message.get(message.address(position)) == message.text(text)


def test_the_character_set_of_msh_18_is_read() -> None:
    header = HEADER + "||||||"
    assert parse(f"{header}8859/1\rPID|1||7||M\u00fcller".encode("latin-1")).get("PID-5") == "M\u00fcller"
    assert parse(f"{header}UNICODE UTF-8\rPID|1||7||M\u00fcller".encode()).get("PID-5") == "M\u00fcller"
    assert parse(f"{HEADER}\rPID|1||7||M\u00fcller".encode("latin-1")).get("PID-5") == "M\u00fcller"
    odd = parse(f"{header}KLINGON\rPID|1||7".encode())
    assert odd.issues[0].expression == "MSH-18"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (r"a\F\b\S\c\T\d\R\e\E\f", "a|b^c&d~e\\f"),
        (r"one\.br\two\.sp2\three", "one\ntwo\n\nthree"),
        (r"\H\bold\N\ text", "bold text"),
        (r"\X41\\X4242\ \Z99\ C:\dir", r"ABB \Z99\ C:\dir"),
        (r"C:\dir\T\x", r"C:\dir&x"),
        ("\\", "\\"),
        (r"\XZZ\.", r"\XZZ\."),
    ],
)
def test_escapes_are_read_and_unknown_ones_kept(raw: str, text: str) -> None:
    assert unescape(raw, Delimiters()) == text


def test_other_delimiters_are_read() -> None:
    message = parse("MSH$*%!@$EHR$$$$20240301$$ADT*A01$1$P$2.5\rPID$1$$7***A@1.2%8$$A!S!B")
    assert message.get("PID-3[1].4.2") == "1.2"
    assert message.get("PID-5") == "A*B"


def test_a_header_of_a_string_literal_with_a_doubled_escape_is_read() -> None:
    message = parse("MSH|^~\\\\&|EHR\rPID|1||7^^^A&B")
    assert message.get("PID-3[1].4.2") == "B"
    assert print_message(message).startswith("MSH|^~\\\\&|EHR")


def test_a_broken_line_continues_the_segment_before_it() -> None:
    message = parse(f"{HEADER}\rPID|1||7\rOBX|1|TX|A||first\nsecond part")
    assert message.get("OBX-5") == "first\nsecond part"
    assert message.issues[0].severity == "warning"


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        (b"", "MSH"),
        (b"PID|1", "MSH"),
        (b"MSH", "MSH-1"),
        (b"MSHA", "MSH-1"),
        (b"MSH|", "MSH-2"),
        (b"MSH|^^|", "MSH-2"),
        (b"MSH|abcd|", "MSH-2"),
        (b"MSH|^~\\&|A\rhello", "MSH"),
        (b"MSH|^~\\&|A\rMSH|^~\\&|A", "MSH#2"),
    ],
)
def test_what_is_no_message_is_refused_with_its_place(raw: bytes, where: str) -> None:
    with pytest.raises(OutcomeError) as caught:
        parse(raw)
    assert caught.value.issues[0].expression == where


def test_a_batch_is_cut_into_messages() -> None:
    one = f"{HEADER}\rPID|1||7\r".encode()
    cut = messages_in(b"FHS|^~\\&\rBHS|^~\\&\r" + one + one + b"BTS|2\rFTS|1\r")
    assert [parse(part).get("PID-3") for part in cut] == ["7", "7"]
    assert messages_in(b"nothing") == []


_LEAF = st.text(
    st.characters(exclude_characters="\r\n\x0b\x1c\ufeff", exclude_categories=["Cs", "Cc", "Zl", "Zp"]),
    max_size=6,
)


@given(
    st.lists(
        st.lists(
            st.lists(st.lists(_LEAF, min_size=1, max_size=3), min_size=1, max_size=3), min_size=1, max_size=3
        ),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_back(fields: list[list[list[list[str]]]]) -> None:
    marks = Delimiters()
    row = "|".join(
        "~".join("^".join("&".join(escape(leaf, marks) for leaf in part) for part in one) for one in field)
        for field in fields
    )
    message = parse(f"{HEADER}\rZZZ|{row}|end\r")
    raw = [
        [[[unescape(leaf, marks) for leaf in part] for part in one] for one in field]
        for field in message.segments[1].fields[:-1]
    ]
    assert raw == fields
    assert print_message(parse(print_message(message))) == print_message(message)
    assert parse(print_message(message)).segments == message.segments


@given(st.text())
@settings(max_examples=100, deadline=None)
def test_escaped_text_reads_back(text: str) -> None:
    assert unescape(escape(text, Delimiters()), Delimiters()) == text


@given(st.binary(max_size=200), st.booleans())
@example(b"\xff\xfeM\x00S\x00H\x00|\x00", False)
@example(b"^~\\&|A||||||||||||||||UNICODE UTF-16\r\x00", True)
@settings(max_examples=200, deadline=None)
def test_arbitrary_bytes_raise_nothing_but_an_outcome(raw: bytes, with_header: bool) -> None:
    where = ""
    try:
        message = parse(b"MSH|" + raw if with_header else raw)
    except OutcomeError as error:
        message, where = None, error.issues[0].expression
    if message is None:
        assert where.startswith("MSH")
        return
    again = parse(print_message(message))
    assert again.segments == message.segments
    for position, _ in message.leaves():
        message.get(message.address(position))
