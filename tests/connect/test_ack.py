"""An acknowledgement says the right code, to the right sender, in the sender's own version and characters."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careloom.connect.ack import Verdict, acknowledgement, acknowledgement_of, verdict_of, wanted
from careloom.connect.msh import msh_of
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.store.event import Receipt

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def _msh(version: str = "2.5.1", tail: str = ""):
    return msh_of(f"MSH|^~\\&|EHR|GHH|LAB|RHH|2020||ADT^A01^ADT_A01|MSG7|T|{version}{tail}".encode())


def _ack(version: str, code, *issues: Issue, tail: str = "") -> str:
    raw = acknowledgement(_msh(version, tail), code, issues, now=NOW, control_id="1")
    return raw.decode()


def test_sender_and_receiver_change_places_and_version_and_processing_id_are_mirrored():
    msh = _ack("2.5.1", "AA").split("\r")[0]
    assert msh == r"MSH|^~\&|LAB|RHH|EHR|GHH|20260304050607+0000||ACK^A01^ACK|1|T|2.5.1"


@pytest.mark.parametrize(("version", "kind"), [("2.2", "ACK"), ("2.3.1", "ACK^A01"), ("2.4", "ACK^A01^ACK")])
def test_the_message_type_is_the_one_of_its_version(version: str, kind: str):
    assert f"|{kind}|" in _ack(version, "AA")


def test_a_reason_is_an_err_segment_from_2_5_and_msa_3_before_2_7():
    issue = Issue("required", "PID-3 is empty.", "PID-3")
    old, middle, new = (_ack(version, "AE", issue) for version in ("2.3", "2.5", "2.8"))
    assert old.split("\r")[1:] == ["MSA|AE|MSG7|PID-3 is empty.", ""]
    err = "ERR||PID^1^3|101^Required field missing^HL70357|E|||PID-3 is empty."
    assert middle.split("\r")[1:] == ["MSA|AE|MSG7|PID-3 is empty.", err, ""]
    assert new.split("\r")[1:] == ["MSA|AE|MSG7", err, ""]


def test_the_answer_comes_in_the_sender_s_characters():
    msh = msh_of("MSH|^~\\&|Köln|GHH|LAB|RHH|2020||ADT^A01|7|P|2.5||||||8859/1".encode("latin-1"))
    raw = acknowledgement(msh, "AA", (), now=NOW, control_id="1")
    assert "|Köln|".encode("latin-1") in raw
    assert raw.split(b"\r")[0].endswith(b"|2.5||||||8859/1")


def test_a_message_without_header_is_answered_too():
    raw = acknowledgement(None, "AR", (Issue("structure", "No MSH."),), now=NOW, control_id="1")
    answer = acknowledgement_of(raw)
    assert (answer.code, answer.control_id, answer.text, answer.error_code) == ("AR", "", "No MSH.", "100")


@pytest.mark.parametrize(
    ("outcome", "commit", "application"),
    [
        (Receipt(1, "done"), "CA", "AA"),
        (Receipt(1, "received"), "CA", "AA"),
        (Receipt(1, "done", is_duplicate=True), "CA", "AA"),
        (Receipt(1, "quarantined", issues=(Issue("required", "x"),)), "CA", "AE"),
        (Receipt(1, "quarantined", issues=(Issue("not-supported", "x"),)), "CR", "AR"),
        (OutcomeError(Issue("invalid", "x")), "CE", "AE"),
        (OutcomeError(Issue("no-store", "x")), "CE", "AR"),
        (RuntimeError("x"), "CE", "AR"),
    ],
)
def test_codes_follow_what_became_of_the_message(outcome, commit: str, application: str):
    verdict = verdict_of(outcome)
    assert (verdict.commit, verdict.application) == (commit, application)


@pytest.mark.parametrize(
    ("tail", "good", "bad"),
    [
        ("", ("AA",), ("AE",)),
        ("|||AL|NE", ("CA",), ("CE",)),
        ("|||NE|AL", ("AA",), ("AE",)),
        ("|||AL|AL", ("CA", "AA"), ("CE", "AE")),
        ("|||NE|NE", (), ()),
        ("|||ER|SU", ("AA",), ("CE",)),
        ("|||SU|ER", ("CA",), ("AE",)),
        ("||||AL", ("AA",), ("AE",)),
    ],
)
def test_msh_15_and_16_ask_for_acknowledgements(tail: str, good: tuple[str, ...], bad: tuple[str, ...]):
    msh = _msh(tail=tail)
    assert wanted(msh, Verdict("CA", "AA")) == good
    assert wanted(msh, Verdict("CE", "AE")) == bad


def test_an_acknowledgement_is_never_acknowledged():
    assert wanted(msh_of(rb"MSH|^~\&|||||2020||ACK^A01^ACK|7|P|2.5"), Verdict("CA", "AA")) == ()


def test_internal_trouble_passes_and_a_wrong_message_does_not():
    def read(outcome: BaseException, version: str = "2.5"):
        verdict = verdict_of(outcome)
        msh = _msh(version)
        return acknowledgement_of(
            acknowledgement(msh, verdict.application, verdict.issues, now=NOW, control_id="1")
        )

    assert read(RuntimeError()).is_passing
    assert read(OutcomeError(Issue("no-store", "The disk is full."))).is_passing
    assert not read(OutcomeError(Issue("invalid", "x"))).is_passing
    assert not read(OutcomeError(Issue("invalid", "x")), "2.3").is_passing


def test_what_has_no_msa_is_no_acknowledgement():
    with pytest.raises(OutcomeError):
        acknowledgement_of(rb"MSH|^~\&|||||2020||ACK|9|P|2.3")
    with pytest.raises(OutcomeError):
        acknowledgement_of(rb"MSH|^~\&|||||2020||ACK|9|P|2.3" + b"\rMSA|XX|1")


@given(
    st.sampled_from(["AA", "AE", "AR", "CA", "CE", "CR"]),
    st.text(alphabet=st.characters(exclude_categories=["C", "Z"]), max_size=60),
    st.sampled_from(["2.1", "2.3", "2.5", "2.6"]),
    st.from_regex(r"[A-Za-z0-9.-]{1,20}", fullmatch=True),
)
def test_an_acknowledgement_is_read_as_it_was_written(code, text: str, version: str, control_id: str):
    msh = msh_of(f"MSH|^~\\&|EHR||||2020||ADT^A01|{control_id}|P|{version}".encode())
    raw = acknowledgement(msh, code, (Issue("processing", text),), now=NOW, control_id="1")
    answer = acknowledgement_of(raw)
    assert (answer.code, answer.control_id, answer.text) == (code, control_id, text)


@given(st.binary(max_size=200))
def test_any_header_can_be_answered(raw: bytes):
    try:
        msh = msh_of(b"MSH|" + raw)
    except OutcomeError:
        return
    acknowledgement(msh, "AE", (Issue("value", "A | ^ text.", "PID-3"),), now=NOW, control_id="1")
