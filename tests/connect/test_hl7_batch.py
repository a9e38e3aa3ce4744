"""A file or block is cut into its messages, whatever ends its lines and whatever envelope it has."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careloom.connect.hl7_batch import messages_of
from careloom.connect.mllp_frame import frame
from careloom.fhir.outcome import OutcomeError

A, B = rb"MSH|^~\&|a" + b"\rPID|1||x", rb"MSH|^~\&|b" + b"\rPID|2"


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_lines_may_end_in_any_way(end: bytes):
    stream = b"".join(message.replace(b"\r", end) + end for message in (A, B))
    assert list(messages_of([stream], 1000)) == [A.replace(b"\r", end), B.replace(b"\r", end)]


def test_mllp_framing_in_a_file_is_taken_off():
    assert list(messages_of([frame(A + b"\r") + frame(B)], 1000)) == [A, B]
    assert list(messages_of([b"\x0b" + A + b"\x1c\x0b" + B + b"\x1c"], 1000)) == [A, B]


def test_envelopes_are_taken_off_and_counted():
    stream = rb"FHS|^~\&|x" + b"\r" + rb"BHS|^~\&|x" + b"\r" + A + b"\r" + B + b"\rBTS|2\rFTS|1\r"
    assert list(messages_of([stream], 1000)) == [A, B]


def test_a_trailer_that_counts_otherwise_is_told_after_the_messages():
    came: list[bytes] = []
    with pytest.raises(OutcomeError, match="trailer"):
        came.extend(messages_of([rb"BHS|^~\&" + b"\r" + A + b"\rBTS|2\r"], 1000))
    assert came == [A]


def test_a_byte_order_mark_is_no_part_of_a_message():
    assert list(messages_of([b"\xef\xbb\xbf" + A], 1000)) == [A]


def test_bytes_before_the_first_message_are_not_lost():
    assert list(messages_of([b"hello\r" + A], 1000)) == [b"hello", A]


def test_a_message_beyond_the_limit_is_refused():
    with pytest.raises(OutcomeError, match="longer"):
        list(messages_of([A + b"\rOBX|" + b"x" * 2000 + b"\r"], 1000))
    with pytest.raises(OutcomeError, match="longer"):
        list(messages_of([b"x" * 600, b"x" * 600], 1000))


@given(st.lists(st.sampled_from([A, B])), st.integers(1, 50), st.sampled_from([b"\r", b"\n", b"\r\n"]))
def test_chunks_may_fall_anywhere(messages: list[bytes], size: int, end: bytes):
    stream = b"".join(message.replace(b"\r", end) + end for message in messages)
    chunks = [stream[at : at + size] for at in range(0, len(stream), size)]
    assert list(messages_of(chunks, 1000)) == [message.replace(b"\r", end) for message in messages]


@given(st.binary(max_size=300), st.integers(1, 20))
def test_any_bytes_are_cut_or_refused(raw: bytes, size: int):
    with contextlib.suppress(OutcomeError):
        list(messages_of([raw[at : at + size] for at in range(0, len(raw), size)], 100))
