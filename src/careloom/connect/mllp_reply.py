"""connect.mllp_reply: what is said to one MLLP block: keep its messages, then make their acknowledgements.

Room: connect. May import: fhir, store. Standard: HL7 v2.9 chapter 2, sections 2.9 and 2.10.3 (batches).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog

from careloom.connect.ack import Code, Verdict, acknowledgement, verdict_of, wanted
from careloom.connect.hl7_batch import is_batch, messages_of
from careloom.connect.mllp_frame import Frame
from careloom.connect.msh import UNKNOWN_SOURCE, Msh, msh_of, source_of
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.store.event import Arrival, Receipt

STRAY = "stray"
"""The kind of bytes that came outside a block, or were cut off: kept, in no mapper's hands."""

_log = structlog.get_logger(__name__)
_KEY_LENGTH = 199
_FURTHER = re.compile(rb"[\r\n]MSH")


@dataclass(frozen=True, slots=True)
class Door:
    """Takes frames in and answers them; synchronous and safe to call from several threads."""

    accept: Callable[[Arrival], Receipt]
    source: str
    now: Callable[[], datetime]
    new_id: Callable[[], str]
    limit_bytes: int

    def answers(self, cut: Frame) -> list[bytes]:
        """The answers to one frame, in order; they may be none (MSH-15 and MSH-16 both NE)."""
        if cut.kind == "too_long":
            text = f"The message is longer than {self.limit_bytes} bytes and was not kept."
            issue = Issue("too-long", text)
            return self._said(_header(cut.body), Verdict("CR", "AR", (issue,)))
        if cut.kind == "stray":
            return self._stray(cut.body)
        if is_batch(cut.body):
            return [self._batch(cut.body)]
        return [answer for message in self._parts(cut.body) for answer in self._message(message)]

    def _parts(self, block: bytes) -> list[bytes]:
        """The messages of a block; a block of one message is that message, untouched."""
        if not _FURTHER.search(block):
            return [block]
        try:
            messages = list(messages_of([block], self.limit_bytes))
        except OutcomeError:
            return [block]
        return messages if len(messages) > 1 else [block]

    def _message(self, raw: bytes) -> list[bytes]:
        """Keep one message; its acknowledgements."""
        try:
            msh = msh_of(raw)
        except OutcomeError as unreadable:
            kept = self._kept(Arrival(self.source or UNKNOWN_SOURCE, "hl7v2", raw, content_key(raw)))
            issues = unreadable.issues if isinstance(kept, Receipt) else verdict_of(kept).issues
            return self._said(None, Verdict("CR", "AR", issues))
        arrival = Arrival(self.source or source_of(msh), "hl7v2", raw, control_key(msh, raw))
        return self._said(msh, verdict_of(self._kept(arrival)))

    def _stray(self, raw: bytes) -> list[bytes]:
        text = "The bytes stand in no whole MLLP block (VT, message, FS, CR); they are kept, but not read."
        kept = self._kept(Arrival(self.source or UNKNOWN_SOURCE, STRAY, raw, content_key(raw)))
        issues = (Issue("structure", text),) if isinstance(kept, Receipt) else verdict_of(kept).issues
        return self._said(_header(raw), Verdict("CR", "AR", issues))

    def _batch(self, raw: bytes) -> bytes:
        """One batch of acknowledgements for a batch of messages; BTS-2 says if the trailer's count was wrong."""
        answers: list[bytes] = []
        comment = ""
        try:
            for message in messages_of([raw], self.limit_bytes):
                answers += self._message(message)
        except OutcomeError as error:
            comment = str(error)
            _log.warning("mllp_batch_miscounted")
        fields = [b"BHS", b"^~\\&", b"careloom", *[b""] * 7, self.new_id().encode(), _batch_id(raw)]
        header = b"|".join(fields).rstrip(b"|") + b"\r"
        return header + b"".join(answers) + b"BTS|%d|%s\r" % (len(answers), comment.encode())

    def _kept(self, arrival: Arrival) -> Receipt | BaseException:
        try:
            return self.accept(arrival)
        except OutcomeError as error:
            _log.warning("mllp_message_not_kept", codes=[issue.code for issue in error.issues])
            return error
        except Exception as error:  # noqa: BLE001 - a sender gets an answer whatever fails behind the door
            _log.error("mllp_message_not_kept", error=type(error).__name__)
            return error

    def _said(self, msh: Msh | None, verdict: Verdict) -> list[bytes]:
        codes: tuple[Code, ...] = wanted(msh, verdict) if msh else (verdict.application,)
        now = self.now()
        return [
            acknowledgement(msh, code, verdict.issues, now=now, control_id=self.new_id()) for code in codes
        ]


def control_key(msh: Msh, raw: bytes) -> str:
    """The key of a message: MSH-10; the hash of its bytes where MSH-10 is empty or longer than the standard allows."""
    key = re.sub(r"[\x00-\x1f]", "", msh.control_id).strip()
    return key if 0 < len(key) <= _KEY_LENGTH else content_key(raw)


def content_key(raw: bytes) -> str:
    """The key of bytes that bring none: `sha256:` and the hash in hexadecimal digits."""
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def _header(raw: bytes) -> Msh | None:
    try:
        return msh_of(raw)
    except OutcomeError:
        return None


def _batch_id(raw: bytes) -> bytes:
    """BHS-11, the batch control id, with the sender's separator."""
    for line in re.split(rb"[\r\n]+", raw):
        if line.startswith(b"BHS"):
            fields = line.split(line[3:4] or b"|")
            return fields[10] if len(fields) > 10 else b""  # noqa: PLR2004 - BHS-11
    return b""
