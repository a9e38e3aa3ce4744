"""The listener keeps first and answers then; nothing that is sent to it ends it."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.waiting import WAIT_S

from careloom.connect.ack import acknowledgement_of
from careloom.connect.mllp import Limits, listening, tls_context
from careloom.connect.mllp_frame import Deframer, Frame, frame
from careloom.connect.mllp_reply import STRAY, Door
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.store.event import Arrival, Receipt


def message(control_id: str = "7", kind: str = "ADT^A01", tail: str = "") -> bytes:
    return (
        f"MSH|^~\\&|EHR|GHH|LAB|RHH|2020||{kind}|{control_id}|P|2.5.1{tail}\rPID|1||{control_id}\r".encode()
    )


class Kept(list[Arrival]):
    """An accept function that keeps arrivals in a list."""

    def __init__(self, wrong: Callable[[Arrival], Receipt | None] = lambda arrival: None) -> None:
        self.wrong = wrong

    def __call__(self, arrival: Arrival) -> Receipt:
        receipt = self.wrong(arrival)
        self.append(arrival)
        return receipt or Receipt(len(self), "done")


class Wire:
    """A raw connection to a listener."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
        self.deframer = Deframer(1_000_000)

    def __enter__(self):
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()

    def answers(self, count: int) -> list[bytes]:
        """The next answers; fewer if the other side closes."""
        bodies: list[bytes] = []
        while len(bodies) < count:
            data = self.socket.recv(65536)
            if not data:
                break
            bodies += [cut.body for cut in self.deframer.feed(data)]
        return bodies

    def is_closed(self) -> bool:
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


def test_a_message_is_kept_untouched_and_answered_by_its_control_id():
    kept = Kept()
    with listening("127.0.0.1", 0, kept) as port, Wire(port) as wire:
        wire.socket.sendall(frame(message("42")))
        answer = acknowledgement_of(wire.answers(1)[0])
    assert (answer.code, answer.control_id) == ("AA", "42")
    assert kept == [Arrival("ehr.ghh", "hl7v2", message("42"), "42")]


def test_the_setting_names_the_source():
    kept = Kept()
    with listening("127.0.0.1", 0, kept, source="ward") as port, Wire(port) as wire:
        wire.socket.sendall(frame(message()))
        wire.answers(1)
    assert kept[0].source == "ward"


def test_messages_over_many_packets_and_many_in_one_are_answered_in_order():
    kept = Kept()
    with listening("127.0.0.1", 0, kept) as port, Wire(port) as wire:
        stream = b"".join(frame(message(str(number))) for number in range(50))
        for at in range(0, len(stream) // 2, 37):
            wire.socket.sendall(stream[at : min(at + 37, len(stream) // 2)])
        wire.socket.sendall(stream[len(stream) // 2 :])
        answers = [acknowledgement_of(raw).control_id for raw in wire.answers(50)]
    assert answers == [str(number) for number in range(50)] == [arrival.key for arrival in kept]


def test_several_messages_in_one_block_are_several_arrivals():
    kept = Kept()
    with listening("127.0.0.1", 0, kept) as port, Wire(port) as wire:
        wire.socket.sendall(frame(message("1") + message("2")))
        answers = [acknowledgement_of(raw).control_id for raw in wire.answers(2)]
    assert answers == ["1", "2"] == [arrival.key for arrival in kept]


def test_a_batch_is_answered_by_a_batch():
    kept = Kept()
    batch = b"BHS|^~\\&|EHR||||2020||||B9\r" + message("1") + message("2") + b"BTS|3\r"
    with listening("127.0.0.1", 0, kept) as port, Wire(port) as wire:
        wire.socket.sendall(frame(batch))
        lines = wire.answers(1)[0].decode().split("\r")
    assert lines[0].split("|")[11] == "B9"
    assert [line for line in lines if line.startswith("MSA")] == ["MSA|AA|1", "MSA|AA|2"]
    assert lines[-2].startswith("BTS|2|The batch trailer counts other messages")
    assert len(kept) == 2


def test_the_answer_waits_until_the_message_is_kept():
    gate, started = threading.Event(), threading.Event()

    def accept(arrival: Arrival) -> Receipt:
        started.set()
        gate.wait(WAIT_S)
        return Receipt(1, "done")

    with listening("127.0.0.1", 0, accept) as port, Wire(port) as wire:
        wire.socket.sendall(frame(message()))
        assert started.wait(WAIT_S)
        wire.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            wire.socket.recv(1)
        gate.set()
        wire.socket.settimeout(WAIT_S)
        assert acknowledgement_of(wire.answers(1)[0]).code == "AA"


def test_one_slow_message_holds_no_other_connection():
    gate = threading.Event()

    def slow(arrival: Arrival) -> Receipt | None:
        if arrival.key == "slow":
            gate.wait(WAIT_S)
        return None

    with listening("127.0.0.1", 0, Kept(slow)) as port, Wire(port) as first, Wire(port) as second:
        first.socket.sendall(frame(message("slow")))
        second.socket.sendall(frame(message("fast")))
        assert acknowledgement_of(second.answers(1)[0]).control_id == "fast"
        gate.set()
        assert acknowledgement_of(first.answers(1)[0]).control_id == "slow"


def test_whatever_fails_behind_the_door_is_answered_and_the_connection_lives():
    def fails(arrival: Arrival) -> Receipt | None:
        match arrival.key:
            case "quarantined":
                return Receipt(1, "quarantined", issues=(Issue("required", "PID-3 is empty.", "PID-3"),))
            case "refused":
                raise OutcomeError(Issue("invalid", "The message is refused."))
            case "broken":
                raise RuntimeError("Anna Müller")
        return None

    with listening("127.0.0.1", 0, Kept(fails)) as port, Wire(port) as wire:
        for control_id in ("quarantined", "refused", "broken", "good"):
            wire.socket.sendall(frame(message(control_id)))
        raw = wire.answers(4)
    answers = [acknowledgement_of(each) for each in raw]
    assert [(answer.code, answer.error_code) for answer in answers] == [
        ("AE", "101"),
        ("AE", "102"),
        ("AR", "207"),
        ("AA", ""),
    ]
    assert answers[0].text == "PID-3 is empty."
    assert b"Anna" not in raw[2]


def test_enhanced_mode_answers_the_commit_and_then_the_application():
    with listening("127.0.0.1", 0, Kept()) as port, Wire(port) as wire:
        wire.socket.sendall(frame(message("1", tail="|||NE|NE")) + frame(message("2", tail="|||AL|AL")))
        assert [acknowledgement_of(raw).code for raw in wire.answers(2)] == ["CA", "AA"]


def test_a_block_without_header_is_kept_and_answered_ar():
    kept = Kept()
    with listening("127.0.0.1", 0, kept) as port, Wire(port) as wire:
        wire.socket.sendall(frame(b"PID|1||x") + frame(message()))
        answers = [acknowledgement_of(raw) for raw in wire.answers(2)]
    assert [answer.code for answer in answers] == ["AR", "AA"]
    assert (kept[0].body, kept[0].kind, kept[0].source) == (b"PID|1||x", "hl7v2", "unknown")


def test_garbage_is_kept_answered_and_its_connection_closed():
    kept = Kept()
    limits = Limits(stray_s=0.1)
    with listening("127.0.0.1", 0, kept, limits=limits) as port, Wire(port) as wire:
        wire.socket.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert acknowledgement_of(wire.answers(1)[0]).code == "AR"
        assert wire.is_closed()
    assert [(arrival.kind, arrival.body) for arrival in kept] == [(STRAY, b"GET / HTTP/1.1")]


def test_a_message_that_is_too_long_is_refused_and_the_next_is_taken():
    kept = Kept()
    limits = Limits(message_bytes=1000)
    with listening("127.0.0.1", 0, kept, limits=limits) as port, Wire(port) as wire:
        wire.socket.sendall(frame(message("big") + b"OBX|" + b"x" * 500_000) + frame(message("small")))
        answers = [acknowledgement_of(raw) for raw in wire.answers(2)]
    assert [(answer.code, answer.control_id) for answer in answers] == [("AR", "big"), ("AA", "small")]
    assert [arrival.key for arrival in kept] == ["small"]


def test_half_a_message_is_not_taken():
    kept = Kept()
    with listening("127.0.0.1", 0, kept) as port:
        with Wire(port) as wire:
            wire.socket.sendall(frame(message())[:-5])
        with Wire(port) as wire:
            wire.socket.sendall(frame(message("whole")))
            wire.answers(1)
    assert [arrival.key for arrival in kept] == ["whole"]


def test_a_silent_connection_is_closed():
    with listening("127.0.0.1", 0, Kept(), limits=Limits(idle_s=0.1)) as port, Wire(port) as wire:
        assert wire.is_closed()


def test_one_connection_too_many_is_closed_and_the_others_live():
    with listening("127.0.0.1", 0, Kept(), limits=Limits(connections=1)) as port, Wire(port) as first:
        first.socket.sendall(frame(message("1")))
        first.answers(1)
        with Wire(port) as second:
            assert second.is_closed()
        first.socket.sendall(frame(message("2")))
        assert acknowledgement_of(first.answers(1)[0]).control_id == "2"


def test_stopping_answers_what_is_being_accepted():
    started = threading.Event()

    def accept(arrival: Arrival) -> Receipt:
        started.set()
        time.sleep(0.3)
        return Receipt(1, "done")

    with listening("127.0.0.1", 0, accept) as port:
        wire = Wire(port)
        wire.socket.sendall(frame(message("1")) + frame(message("2")))
        assert started.wait(WAIT_S)
    assert [acknowledgement_of(raw).control_id for raw in wire.answers(2)] == ["1"]
    assert wire.is_closed()
    wire.socket.close()


def test_a_port_in_use_is_one_clear_sentence():
    with (
        listening("127.0.0.1", 0, Kept()) as port,
        pytest.raises(OutcomeError, match=rf"cannot listen on 127.0.0.1:{port}: .*in use"),
        listening("127.0.0.1", port, Kept()),
    ):
        pass


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    both, key = folder / "both.pem", folder / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(both)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs the openssl command to make a certificate")
    both.write_bytes(both.read_bytes() + key.read_bytes())
    return both


def test_over_tls_messages_are_taken_and_plain_text_is_not(certificate: Path):
    kept = Kept()
    context = ssl.create_default_context(cafile=str(certificate))
    with listening("127.0.0.1", 0, kept, tls=tls_context(certificate)) as port:
        with Wire(port) as plain:
            plain.socket.sendall(frame(message("plain")))
            assert plain.answers(1) == []
        with Wire(port, context) as wire:
            wire.socket.sendall(frame(message("secret")))
            assert acknowledgement_of(wire.answers(1)[0]).control_id == "secret"
    assert [arrival.key for arrival in kept] == ["secret"]


def test_a_certificate_that_cannot_be_read_is_one_clear_sentence(tmp_path: Path):
    with pytest.raises(OutcomeError, match="certificate"):
        tls_context(tmp_path / "absent.pem")


def _door(kept: Kept) -> Door:
    return Door(kept, "", lambda: datetime(2026, 1, 1, tzinfo=UTC), lambda: "1", 10_000)


@given(st.binary(max_size=300), st.sampled_from(["block", "stray", "too_long"]))
def test_every_frame_has_answers_that_can_be_read(raw: bytes, kind):
    for answer in _door(Kept()).answers(Frame(kind, raw)):
        acknowledgement_of(answer) if not answer.startswith(b"BHS") else None


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=80), st.sampled_from([b"\x0b", b"\x1c\r", b"MSH|^~\\&|", b"BHS|\rBTS|9"])
        )
    )
)
def test_no_bytes_end_the_listener(living: int, parts: list[bytes]):
    with Wire(living) as wire:
        wire.socket.sendall(b"".join(parts))
    with Wire(living) as wire:
        wire.socket.sendall(frame(message("alive")))
        assert acknowledgement_of(wire.answers(1)[0]).control_id == "alive"


@pytest.fixture
def living():
    with listening("127.0.0.1", 0, Kept()) as port:
        yield port
