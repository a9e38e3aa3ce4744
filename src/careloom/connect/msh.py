"""connect.msh: read the header (MSH) of an HL7 v2 message: delimiters, character set, who sent it.

Room: connect. May import: fhir. Standard: HL7 v2.9 chapter 2, sections 2.5 (delimiters) and 2.13.9 (MSH).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from careloom.fhir.outcome import Issue, OutcomeError

_CODECS = {
    "ASCII": "ascii",
    "GB 18030-2000": "gb18030",
    "KS X 1001": "euc_kr",
    "BIG-5": "big5",
    "ISO IR87": "iso2022_jp",
    "ISO IR159": "iso2022_jp_1",
    "UNICODE": "utf-8",
    "UNICODE UTF-8": "utf-8",
    # Not in table 0211, but often sent.
    "UTF-8": "utf-8",
    "UTF8": "utf-8",
    "ISO-8859-1": "iso8859-1",
    "WINDOWS-1252": "cp1252",
    **{f"8859/{part}": f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
}
"""MSH-18, HL7 table 0211 -> codec. UTF-16 and UTF-32 are absent: MLLP cannot frame them (their bytes hold VT and FS)."""

_BOM = b"\xef\xbb\xbf"
_SEGMENT_END = re.compile(rb"[\r\n]")
_HEADER_BYTES = 64 * 1024
_SOURCE_LENGTH = 64
UNKNOWN_SOURCE = "unknown"
"""The source of bytes whose sender cannot be read from them."""


@dataclass(frozen=True, slots=True)
class Msh:
    """One message header. `fields[n]` is MSH-n: fields[1] the field separator, fields[2] the other delimiters."""

    fields: tuple[str, ...]
    codec: str
    """The codec that reads this message; an answer is written in it."""

    def __getitem__(self, number: int) -> str:
        """MSH-<number>, empty if absent."""
        return self.fields[number] if number < len(self.fields) else ""

    def component(self, number: int, component: int) -> str:
        """Component (from 1) of the first repetition of MSH-<number>."""
        parts = self[number].split(self.repetition)[0].split(self.fields[2][0])
        return parts[component - 1] if component <= len(parts) else ""

    @property
    def repetition(self) -> str:
        """The repetition separator, `~` where MSH-2 is short."""
        return self.fields[2][1] if len(self.fields[2]) > 1 else "~"

    @property
    def control_id(self) -> str:
        """MSH-10."""
        return self[10]

    @property
    def version(self) -> tuple[int, ...]:
        """MSH-12 as numbers: (2, 5, 1); (2, 5) where it cannot be read."""
        match = re.fullmatch(r"(\d+)\.(\d+)(?:\.(\d+))?", self.component(12, 1).strip())
        return tuple(int(part) for part in match.groups() if part) if match else (2, 5)


def msh_of(raw: bytes) -> Msh:
    r"""The header of a message. Raises OutcomeError(structure) if the bytes do not begin with a readable MSH.

    >>> msh_of(b"MSH|^~\\&|EHR|GHH|||2020||ADT^A01|7|P|2.5\rPID|1").control_id
    '7'
    """
    start = len(_BOM) if raw.startswith(_BOM) else 0
    head = raw[start : start + _HEADER_BYTES].lstrip(b"\r\n\t ")
    segment = _SEGMENT_END.split(head, 1)[0]
    separator = segment[3:4]
    if not segment.startswith(b"MSH") or not _is_delimiter(separator):
        raise OutcomeError(
            Issue("structure", "The message does not begin with MSH and a field separator.", "MSH")
        )
    parts = segment.split(separator)
    declared = parts[17].decode("ascii", "replace") if len(parts) > 17 else ""  # noqa: PLR2004 - MSH-18
    text, codec = decoded(segment, declared)
    fields = text.split(separator.decode("ascii"))
    if len(fields) < 2 or not fields[1]:  # noqa: PLR2004 - MSH-2
        raise OutcomeError(Issue("required", "MSH-2 does not name the encoding characters.", "MSH-2"))
    return Msh((fields[0], separator.decode("ascii"), *fields[1:]), codec)


def decoded(raw: bytes, declared: str) -> tuple[str, str]:
    """Text and the codec that read it: the one MSH-18 declares, else UTF-8, else Latin-1 (which reads all bytes).

    >>> decoded(b"Mus\\xe9e", "UNICODE UTF-8")
    ('Musée', 'latin-1')
    """
    first = re.split(r"[^\w /.\-]", declared.strip().upper(), maxsplit=1)[0].strip()
    for codec in (_CODECS.get(first, "utf-8"), "utf-8"):
        try:
            return raw.decode(codec), codec
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1"), "latin-1"


def source_of(msh: Msh) -> str:
    r"""Name of the source of a message: sending application (MSH-3.1), a dot, sending facility (MSH-4.1).

    Lower case; what is not a letter or digit becomes a hyphen. Names in other scripts get a hash, so that two
    of them never become one source.

    >>> source_of(msh_of(b"MSH|^~\\&|EHR|Good Health^1.2^ISO|||2020||ADT^A01|7|P|2.5"))
    'ehr.good-health'
    """
    parts = [_slug(msh.component(number, 1)) for number in (3, 4)]
    return ".".join(part for part in parts if part)[:_SOURCE_LENGTH] or UNKNOWN_SOURCE


def _slug(text: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if text.isascii():
        return slug
    return f"{slug}-{hashlib.sha256(text.encode()).hexdigest()[:8]}".strip("-")


def _is_delimiter(byte: bytes) -> bool:
    # 2.5.4: a delimiter is a printable ASCII character; a letter or digit would make the message unreadable.
    return len(byte) == 1 and b"!" <= byte <= b"~" and not byte.isalnum()
