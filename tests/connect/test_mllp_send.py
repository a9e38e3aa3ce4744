"""The sender resends until each message is answered, and never takes another's answer for its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from careloom.connect.mllp import listening
from careloom.connect.mllp_frame import Deframer, frame
from careloom.connect.mllp_send import Retry, Sender, send_all, send_async, send_file
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.store.event import Arrival, Receipt

SOON = Retry(attempts=4, first_s=0.01)


def message(control_id: str, tail: str = "") -> bytes:
    return f"MSH|^~\\&|EHR|GHH|||2020||ADT^A01|{control_id}|P|2.5.1{tail}\rPID|1\r".encode()


def answer(code: str, control_id: str) -> bytes:
    return frame(f"MSH|^~\\&|||EHR|GHH|2020||ACK|1|P|2.5.1\rMSA|{code}|{control_id}\r".encode())


@contextmanager
def scripted(*replies: list[bytes]) -> Iterator[tuple[int, list[bytes]]]:
    """A receiver that answers the n-th message with replies[n], or closes where there are none."""
    server = socket.create_server(("127.0.0.1", 0))
    came: list[bytes] = []

    def run() -> None:
        left = iter(replies)
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                deframer = Deframer(10_000)
                is_open = True
                while is_open:
                    frames = deframer.feed(data) if (data := connection.recv(4096)) else []
                    is_open = bool(data)
                    for cut in frames:
                        came.append(cut.body)
                        reply = next(left, [])
                        is_open = bool(reply)
                        connection.sendall(b"".join(reply))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield server.getsockname()[1], came
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(5)


def test_messages_are_sent_over_one_connection_and_acknowledged():
    keys: list[str] = []

    def accept(arrival: Arrival) -> Receipt:
        keys.append(arrival.key)
        return Receipt(1, "done")

    with listening("127.0.0.1", 0, accept) as port, Sender("127.0.0.1", port) as sender:
        sent = list(send_all(sender, [message(str(number)) for number in range(20)]))
        last = asyncio.run(send_async(sender, message("async")))
    assert [(control_id, code and code.code) for control_id, code in sent] == [
        (str(n), "AA") for n in range(20)
    ]
    assert last
    assert last.control_id == "async"
    assert keys == [*map(str, range(20)), "async"]


def test_a_broken_connection_is_opened_again_and_the_same_bytes_are_sent():
    with scripted([], [answer("AA", "1")]) as (port, came), Sender("127.0.0.1", port, retry=SOON) as sender:
        got = sender.send(message("1"))
    assert got
    assert got.is_accepted
    assert came == [message("1"), message("1")]


def test_the_answer_to_another_message_is_passed_over():
    with scripted([answer("AE", "0"), answer("AA", "1")]) as (port, _), Sender("127.0.0.1", port) as sender:
        got = sender.send(message("1"))
    assert got
    assert got.code == "AA"


def test_trouble_that_passes_is_tried_again():
    tries: list[str] = []

    def accept(arrival: Arrival) -> Receipt:
        tries.append(arrival.key)
        if len(tries) < 3:
            raise RuntimeError
        return Receipt(1, "done")

    with listening("127.0.0.1", 0, accept) as port, Sender("127.0.0.1", port, retry=SOON) as sender:
        for tail in ("", "|||AL|AL"):
            tries.clear()
            got = sender.send(message("1", tail))
            assert got
            assert got.code == "AA"
            assert tries == ["1"] * 3


def test_a_message_that_is_wrong_is_sent_once_and_its_answer_returned():
    tries: list[str] = []

    def accept(arrival: Arrival) -> Receipt:
        tries.append(arrival.key)
        raise OutcomeError(Issue("invalid", "No."))

    with listening("127.0.0.1", 0, accept) as port, Sender("127.0.0.1", port, retry=SOON) as sender:
        got = sender.send(message("1"))
    assert got
    assert (got.code, got.text) == ("AE", "No.")
    assert tries == ["1"]


def test_nobody_answering_is_one_clear_sentence():
    with (
        scripted([], [], [], []) as (port, came),
        Sender("127.0.0.1", port, retry=SOON) as sender,
        pytest.raises(OutcomeError, match=rf"No acknowledgement from 127.0.0.1:{port} in 4 attempts"),
    ):
        sender.send(message("1"))
    assert len(came) == 4


def test_a_receiver_that_is_silent_is_given_up_in_time():
    with (
        scripted([b" "]) as (port, _),
        Sender("127.0.0.1", port, timeout_s=0.1, retry=Retry(attempts=1)) as sender,
        pytest.raises(OutcomeError, match=r"timed out|broke"),
    ):
        sender.send(message("1"))


def test_a_message_that_wants_no_answer_gets_none():
    with (
        listening("127.0.0.1", 0, lambda arrival: Receipt(1, "done")) as port,
        Sender("127.0.0.1", port) as sender,
    ):
        assert sender.send(message("1", "|||NE|NE")) is None
        got = sender.send(message("2"))
    assert got
    assert got.control_id == "2"


def test_a_message_without_control_id_cannot_be_sent():
    with Sender("127.0.0.1", 9) as sender, pytest.raises(OutcomeError, match="control id"):
        sender.send(message(""))


def test_a_file_is_sent_message_by_message_with_carriage_returns(tmp_path: Path):
    bodies: list[bytes] = []

    def accept(arrival: Arrival) -> Receipt:
        bodies.append(arrival.body)
        return Receipt(1, "done")

    (tmp_path / "feed.hl7").write_bytes(
        b"\n".join([message("1"), message("2", "|||NE|NE"), message("3")]).replace(b"\r", b"\n")
    )
    with listening("127.0.0.1", 0, accept) as port:
        answers = list(send_file(tmp_path / "feed.hl7", "127.0.0.1", port))
    assert [answer.control_id for answer in answers] == ["1", "3"]
    assert bodies == [message("1"), message("2", "|||NE|NE"), message("3")]


def test_a_file_of_something_else_is_one_clear_sentence(tmp_path: Path):
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(OutcomeError, match="does not hold HL7"):
        list(send_file(tmp_path / "a.json", "127.0.0.1", 9))
