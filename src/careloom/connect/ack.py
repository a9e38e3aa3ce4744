"""connect.ack: acknowledgements of HL7 v2 messages: which codes, how they are written, how they are read.

Room: connect. May import: fhir, store. Standard: HL7 v2.9 chapter 2, sections 2.9 (original and enhanced mode),
2.13.8 (MSA), 2.13.5 (ERR); tables 0008 (codes), 0155 (when), 0357 (error codes).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from careloom.connect.msh import Msh, msh_of
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.store.event import Receipt

Code = Literal["AA", "AE", "AR", "CA", "CE", "CR"]
_CODES: dict[str, Code] = {"AA": "AA", "AE": "AE", "AR": "AR", "CA": "CA", "CE": "CE", "CR": "CR"}

_ERRORS = {
    "structure": ("100", "Segment sequence error"),
    "required": ("101", "Required field missing"),
    "invalid": ("102", "Data type error"),
    "value": ("102", "Data type error"),
    "code-invalid": ("103", "Table value not found"),
    "too-long": ("104", "Value too long"),
    "not-supported": ("200", "Unsupported message type"),
    "not-found": ("204", "Unknown key identifier"),
    "duplicate": ("205", "Duplicate key identifier"),
    "conflict": ("206", "Application record locked"),
    "lock-error": ("206", "Application record locked"),
}
_INTERNAL = ("207", "Application internal error")
_PASSING = frozenset({"transient", "lock-error", "timeout", "throttled", "no-store", "exception", "conflict"})
_MSA_3_LENGTH = 80
_NAMELESS = Msh(("MSH", "|", "^~\\&"), "utf-8")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a sender is to be told: the commit code (enhanced mode), the application code, and why."""

    commit: Code
    application: Code
    issues: tuple[Issue, ...] = ()


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """One acknowledgement as it was read."""

    code: Code
    control_id: str
    """MSA-2: the control id (MSH-10) of the message that it answers."""
    text: str = ""
    error_code: str = ""
    """ERR-3, HL7 table 0357."""

    @property
    def is_accepted(self) -> bool:
        """AA or CA."""
        return self.code in {"AA", "CA"}

    @property
    def is_passing(self) -> bool:
        """True if the same message may be taken later: the receiver was not able, the message was not wrong.

        An AE with the general error 207 is none of them: the receiver has looked at the message, and would say the
        same again (2.9.2.2).

        >>> [Acknowledgement(code, "7", error_code="207").is_passing for code in ("AE", "AR", "CE")]
        [False, True, True]
        """
        if self.is_accepted:
            return False
        is_unable = self.error_code == "207" and self.code != "AE"
        return self.error_code == "206" or is_unable or (self.code in {"AR", "CR"} and not self.error_code)


def verdict_of(outcome: Receipt | BaseException) -> Verdict:
    """The codes for what `accept` returned or raised.

    A kept message whose content cannot be used is answered AE with the reason, one of an unsupported type AR
    (2.9.2.1). What could not be kept for the moment is AR with error 207, so that its sender tries again (2.9.2.2).

    >>> verdict_of(Receipt(1, "done")).application
    'AA'
    """
    if isinstance(outcome, Receipt):
        if outcome.status != "quarantined":
            return Verdict("CA", "AA")
        issues = tuple(issue for issue in outcome.issues if issue.is_error)
        if any(issue.code == "not-supported" for issue in issues):
            return Verdict("CR", "AR", issues)
        return Verdict(
            "CA", "AE", issues or (Issue("processing", "The message is kept, but in quarantine."),)
        )
    if isinstance(outcome, OutcomeError):
        is_passing = any(issue.code in _PASSING for issue in outcome.issues)
        return Verdict("CE", "AR" if is_passing else "AE", outcome.issues)
    return Verdict("CE", "AR", (Issue("exception", "The message could not be kept. Send it again later."),))


def wanted(msh: Msh, verdict: Verdict) -> tuple[Code, ...]:
    r"""The acknowledgements that MSH-15 and MSH-16 ask for, in order; without both, one in original mode.

    An acknowledgement is never acknowledged.

    >>> wanted(msh_of(b"MSH|^~\\&|||||2020||ADT^A01|7|P|2.5|||AL|NE"), Verdict("CA", "AA"))
    ('CA',)
    """
    if msh.component(9, 1) in {"ACK", "MCF"}:
        return ()
    if not msh[15].strip() and not msh[16].strip():
        return (verdict.application,)
    asked: tuple[tuple[str, Code], ...] = (
        (msh[15].strip(), verdict.commit),
        (msh[16].strip(), verdict.application),
    )
    return tuple(code for condition, code in asked if _is_asked(condition, code))


def acknowledgement(
    msh: Msh | None, code: Code, issues: Sequence[Issue], *, now: datetime, control_id: str
) -> bytes:
    """The ACK message. Sender and receiver change places; delimiters, version, processing id and character set
    are the sender's own. `msh` None: a message whose header could not be read.
    """
    to = msh or _NAMELESS
    header = [""] * 19
    header[0], header[2] = "MSH", to.fields[2]
    header[3:7] = [to[5] or "careloom", to[6], to[3], to[4]]
    header[7] = now.strftime("%Y%m%d%H%M%S%z")
    header[9] = _message_type(to)
    header[10], header[11], header[12] = control_id, to[11] or "P", to[12] or "2.5.1"
    header[18] = to[18]
    segments = [header[:1] + header[2:], _msa(to, code, issues)]
    if to.version >= (2, 5):
        segments += [_err(to, issue) for issue in issues]
    text = "".join(to.fields[1].join(segment).rstrip(to.fields[1]) + "\r" for segment in segments)
    return text.encode(to.codec, "replace")


def acknowledgement_of(raw: bytes) -> Acknowledgement:
    r"""Read an ACK. Raises OutcomeError(structure) if it is none.

    >>> acknowledgement_of(b"MSH|^~\\&|||||2020||ACK|9|P|2.3\rMSA|AE|7|PID-3 is empty\r")
    Acknowledgement(code='AE', control_id='7', text='PID-3 is empty', error_code='')
    """
    msh = msh_of(raw)
    lines = [line.split(msh[1]) for line in re.split(r"[\r\n]+", raw.decode(msh.codec, "replace"))]
    msa = next((_padded(line, 9) for line in lines if line[0] == "MSA"), None)
    if msa is None or msa[1] not in _CODES:
        raise OutcomeError(
            Issue("structure", "The answer is no acknowledgement: it has no MSA code.", "MSA-1")
        )
    err = next((_padded(line, 9) for line in lines if line[0] == "ERR"), [""] * 9)
    text = _unescaped(msh, err[7] or err[8] or msa[3])
    return Acknowledgement(_CODES[msa[1]], msa[2], text, err[3].split(msh.fields[2][0])[0])


def _is_asked(condition: str, code: Code) -> bool:
    # Table 0155. A condition that is not in it is treated as AL: one answer too many does no harm.
    is_good = code in {"AA", "CA"}
    return {"": False, "NE": False, "ER": not is_good, "SU": is_good}.get(condition, True)


def _message_type(to: Msh) -> str:
    trigger = to.component(9, 2)
    if to.version < (2, 3, 1) or not trigger:
        return "ACK"
    between = to.fields[2][0]
    return between.join(["ACK", trigger, "ACK"] if to.version >= (2, 4) else ["ACK", trigger])


def _msa(to: Msh, code: Code, issues: Sequence[Issue]) -> list[str]:
    # MSA-3 went out with 2.7; versions before 2.5 have no other place for the reason.
    text = issues[0].text[:_MSA_3_LENGTH] if issues and to.version < (2, 7) else ""
    return ["MSA", code, to.control_id, _escaped(to, text)]


def _err(to: Msh, issue: Issue) -> list[str]:
    code, meaning = _ERRORS.get(issue.code, _INTERNAL)
    between = to.fields[2][0]
    severity = {"fatal": "F", "error": "E", "warning": "W", "information": "I"}[issue.severity]
    where = re.match(r"([A-Z][A-Z0-9]{2})(?:#(\d+))?(?:-(\d+))?", issue.expression)
    location = between.join([where[1], where[2] or "1", where[3] or ""]).rstrip(between) if where else ""
    reason = between.join([code, _escaped(to, meaning), "HL70357"])
    return ["ERR", "", location, reason, severity, "", "", _escaped(to, issue.text)]


def _escapes(msh: Msh) -> dict[str, str]:
    """Delimiter -> escape sequence (2.7.1)."""
    marks = dict(zip("SRET", msh.fields[2], strict=False)) | {"F": msh.fields[1]}
    escape = marks.get("E", "\\")
    return {mark: f"{escape}{letter}{escape}" for letter, mark in marks.items()}


def _escaped(msh: Msh, text: str) -> str:
    escapes = _escapes(msh)
    return "".join(escapes.get(sign, sign if sign.isprintable() else " ") for sign in text)


def _unescaped(msh: Msh, text: str) -> str:
    marks = {sequence: mark for mark, sequence in _escapes(msh).items()}
    return re.sub("|".join(map(re.escape, marks)), lambda match: marks[match[0]], text)


def _padded(fields: list[str], length: int) -> list[str]:
    return fields + [""] * (length - len(fields))
