"""unify.hl7v2.charset: the bytes of a message to text, by MSH-18.

Room: unify. May import: fhir. Standard: HL7 v2.9 chapter 2.14.9.18 and table 0211.
"""

from __future__ import annotations

from careloom.fhir.outcome import Issue

CODECS = {
    "ASCII": "ascii",
    "8859/1": "iso8859_1",
    "8859/2": "iso8859_2",
    "8859/3": "iso8859_3",
    "8859/4": "iso8859_4",
    "8859/5": "iso8859_5",
    "8859/6": "iso8859_6",
    "8859/7": "iso8859_7",
    "8859/8": "iso8859_8",
    "8859/9": "iso8859_9",
    "8859/15": "iso8859_15",
    "ISO IR14": "shift_jis",
    "ISO IR87": "iso2022_jp",
    "ISO IR159": "iso2022_jp_1",
    "GB 18030-2000": "gb18030",
    "KS X 1001": "euc_kr",
    "BIG-5": "big5",
    "UNICODE": "utf_8",
    "UNICODE UTF-8": "utf_8",
    "UNICODE UTF-16": "utf_16",
    "UNICODE UTF-32": "utf_32",
    # What senders write, though table 0211 spells it otherwise.
    "UTF-8": "utf_8",
    "UTF8": "utf_8",
    "ISO-8859-1": "iso8859_1",
    "ISO8859-1": "iso8859_1",
    "WINDOWS-1252": "cp1252",
}
_CHARACTER_SET = 17
"""Where MSH-18 stands when the header is split at its separator (the separator itself is MSH-1)."""
_BOMS = ((b"\xef\xbb\xbf", "utf_8"), (b"\xff\xfe", "utf_16_le"), (b"\xfe\xff", "utf_16_be"))


def text_of(raw: bytes) -> tuple[str, str, tuple[Issue, ...]]:
    """The text, the codec that read it, and warnings. Never raises: what nothing fits is read as ISO 8859-1.

    >>> text_of(b"MSH|^~\\\\&|A\\rPID|1")[1]
    'utf_8'
    """
    for bom, codec in _BOMS:
        if raw.startswith(bom):
            return raw[len(bom) :].decode(codec, "replace"), codec, ()
    name = _named(raw)
    codec = CODECS.get(name, "")
    if name and not codec:
        return (*_guess(raw), (_warning("MSH-18 names a character set that is not known"),))
    if codec and codec != "ascii":
        try:
            return raw.decode(codec), codec, ()
        except UnicodeError:
            return (*_guess(raw), (_warning("The bytes do not fit the character set of MSH-18"),))
    return (*_guess(raw), ())


def _named(raw: bytes) -> str:
    """The first repetition of MSH-18; the header is ASCII in every set that table 0211 allows."""
    start = raw.find(b"MSH")
    if start < 0 or len(raw) < start + 4:
        return ""
    line = raw[start : start + 4000].replace(b"\n", b"\r").split(b"\r", 1)[0]
    fields = line.split(line[3:4])
    first = b"".join(fields[_CHARACTER_SET : _CHARACTER_SET + 1])
    repetition = fields[1][1:2]
    if repetition:
        first = first.split(repetition, 1)[0]
    return first.decode("latin-1").strip().upper()


def _guess(raw: bytes) -> tuple[str, str]:
    try:
        return raw.decode("utf_8"), "utf_8"
    except UnicodeDecodeError:
        return raw.decode("iso8859_1"), "iso8859_1"


def _warning(text: str) -> Issue:
    return Issue("value", f"{text}: it was read by guess; send table 0211 codes.", "MSH-18", "warning")
