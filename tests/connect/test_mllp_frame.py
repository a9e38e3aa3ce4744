"""A stream is cut into the same blocks, wherever the packets fall."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from careloom.connect.mllp_frame import Deframer, Frame, frame

LIMIT = 200
message = st.binary(min_size=1, max_size=150).filter(
    lambda raw: not {0x0B, 0x1C} & set(raw) and raw.strip(b"\r\n\t \x00")
)


def _split(stream: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    return [stream[a:b] for a, b in itertools.pairwise(at)]


def _cut(pieces: list[bytes]) -> list[Frame]:
    deframer = Deframer(LIMIT)
    return [cut for piece in pieces for cut in deframer.feed(piece)] + deframer.flush()


@given(st.lists(message), st.lists(st.integers(0, 10_000)))
def test_messages_come_out_as_they_went_in(messages: list[bytes], cuts: list[int]):
    stream = b"".join(frame(each) for each in messages)
    assert _cut(_split(stream, cuts)) == [Frame("block", each) for each in messages]


@given(
    st.lists(st.sampled_from([b"\x0b", b"\x1c", b"\r", b"MSH|", b"x" * 90, b" "])),
    st.lists(st.integers(0, 10_000)),
)
def test_any_stream_gives_the_same_frames_however_it_is_split(parts: list[bytes], cuts: list[int]):
    stream = b"".join(parts)
    assert _cut(_split(stream, cuts)) == _cut([stream])


def test_a_missing_cr_is_forgiven():
    assert _cut([b"\x0bMSH|a\x1c\x0bMSH|b\x1c"]) == [Frame("block", b"MSH|a"), Frame("block", b"MSH|b")]


def test_bytes_outside_blocks_are_stray_and_white_space_is_not():
    assert _cut([b"\r\n hello\x0bMSH|a\x1c\r\r\n"]) == [Frame("stray", b"hello"), Frame("block", b"MSH|a")]


def test_a_block_cut_off_by_the_next_is_stray():
    assert _cut([b"\x0bMSH|a\x0bMSH|b\x1c\r"]) == [Frame("stray", b"MSH|a"), Frame("block", b"MSH|b")]


def test_a_block_that_never_ends_is_no_message():
    assert _cut([b"\x0bMSH|a"]) == []


def test_a_block_beyond_the_limit_is_skipped_and_the_next_is_read():
    frames = _cut(_split(b"\x0bMSH|" + b"x" * 1000 + b"\x1c\r\x0bMSH|b\x1c\r", list(range(0, 1000, 7))))
    assert frames == [Frame("too_long", b"MSH|" + b"x" * (LIMIT - 4)), Frame("block", b"MSH|b")]


def test_stray_bytes_are_given_in_bounded_pieces():
    deframer = Deframer(LIMIT)
    frames = [cut for _ in range(40) for cut in deframer.feed(b"y" * 10_000)]
    assert {len(cut.body) for cut in frames} == {64 * 1024}
