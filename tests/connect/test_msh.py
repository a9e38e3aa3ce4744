"""The header of a message says who sent it, in which characters, and how it is cut into fields."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careloom.connect.msh import UNKNOWN_SOURCE, decoded, msh_of, source_of
from careloom.fhir.outcome import OutcomeError


def test_fields_are_numbered_as_in_the_standard():
    msh = msh_of(rb"MSH|^~\&|EHR|GHH^1.2^ISO|LAB|RHH|2020||ADT^A01^ADT_A01|42|P|2.5.1" + b"\rPID|1")
    assert (msh[1], msh[2], msh[3], msh[10], msh[18]) == ("|", r"^~\&", "EHR", "42", "")
    assert (msh.component(9, 2), msh.component(4, 1), msh.version) == ("A01", "GHH", (2, 5, 1))


def test_other_delimiters_are_honoured():
    msh = msh_of(rb"MSH#*~\&#EHR*x#GHH#####ADT*A01#7")
    assert (msh.component(3, 1), msh.component(9, 2), msh.control_id) == ("EHR", "A01", "7")


def test_a_byte_order_mark_and_blank_lines_before_msh_are_forgiven():
    assert msh_of(b"\xef\xbb\xbf\r\nMSH|^~\\&|||||2020||ADT^A01|7").control_id == "7"


@pytest.mark.parametrize(
    "raw", [b"", b"PID|1", b"MSH", b"MSHA^~\\&", b"MSH|", b"MSH\x80^~\\&|", b"GET / HTTP/1.1"]
)
def test_what_has_no_readable_msh_is_refused(raw: bytes):
    with pytest.raises(OutcomeError):
        msh_of(raw)


@pytest.mark.parametrize(
    ("declared", "codec", "text"),
    [
        ("8859/1", "iso8859-1", "Müller"),
        ("8859/15", "iso8859-15", "€ Müller"),
        ("8859/5", "iso8859-5", "Иванов"),
        ("UNICODE UTF-8", "utf-8", "Müller Иванов 病院"),
        ("", "utf-8", "Müller"),
        ("GB 18030-2000", "gb18030", "病院"),
        ("KS X 1001", "euc_kr", "병원"),
        ("ISO IR87", "iso2022_jp", "病院"),
        ("UNICODE UTF-8~8859/1", "utf-8", "Müller"),
    ],
)
def test_msh_18_names_the_character_set(declared: str, codec: str, text: str):
    assert decoded(text.encode(codec), declared) == (text, codec)


def test_a_wrong_declaration_falls_back_to_utf_8_and_then_to_latin_1():
    assert decoded("Müller".encode(), "ASCII") == ("Müller", "utf-8")
    assert decoded("Müller".encode("latin-1"), "UNICODE UTF-8") == ("Müller", "latin-1")


def test_sources_in_other_scripts_stay_apart():
    first = source_of(msh_of("MSH|^~\\&|病院|||||".encode()))
    second = source_of(msh_of("MSH|^~\\&|병원|||||".encode()))
    assert first != second
    assert first.isascii()


def test_a_sender_without_a_name_is_unknown():
    assert source_of(msh_of(b"MSH|^~\\&|||||")) == UNKNOWN_SOURCE


@given(st.binary(max_size=200))
def test_any_bytes_after_msh_are_a_header_or_an_outcome(raw: bytes):
    with contextlib.suppress(OutcomeError):
        source_of(msh_of(b"MSH|" + raw))
