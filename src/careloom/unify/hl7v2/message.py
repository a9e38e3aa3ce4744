"""unify.hl7v2.message: the ER7 parser: bytes to segments, fields, repetitions, components, subcomponents.

Room: unify. May import: fhir. Standard: HL7 v2.9 chapter 2.5 (message construction rules).

Text stays escaped in the tree, so that printing gives back what was read; `Message.text` reads escapes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.unify.hl7v2.charset import text_of
from careloom.unify.hl7v2.escape import Delimiters, unescape

Component = list[str]
"""Subcomponents, still escaped."""
Repetition = list[Component]
Field = list[Repetition]
Tree = Repetition | Component | str
Position = tuple[int, int, int, int, int]
"""Index of the segment in the message (from 0), then field, repetition, component, subcomponent (from 1)."""

EMPTY: Field = [[[""]]]
"""The field that has nothing in it: one object for all, so that it is known by identity. Never changed."""
NULL = '""'
"""The sender says: delete what you have (chapter 2.5.3)."""

_ADDRESS = re.compile(r"([A-Z][A-Z0-9]{2})(?:#(\d+))?-(\d+)(?:\[(\d+)\])?(?:\.(\d+))?(?:\.(\d+))?\Z")
_SEGMENT = re.compile(r"[A-Z][A-Z0-9]{2}\Z")
_FRAMING = "\x0b\x1c\ufeff \t\r\n"
_CONTROLS = dict.fromkeys((*range(9), *range(11, 13), *range(14, 32), *range(127, 160), 8232, 8233), " ")
"""Characters that no text of a patient holds; a field of them only is empty."""
_LINE_ENDS = re.compile(r"\r\n|\r|\n")


@dataclass(slots=True)
class Segment:
    """One segment; `fields[0]` is field 1 (of MSH: the field separator itself)."""

    name: str
    ordinal: int
    """1 for the first segment of this name in the message."""
    fields: list[Field]

    def is_valued(self, number: int) -> bool:
        """True when the field holds anything but white space."""
        return number <= len(self.fields) and not is_empty(self.fields[number - 1])


@dataclass(slots=True)
class Message:
    """A parsed message."""

    segments: list[Segment]
    marks: Delimiters
    codec: str = "utf_8"
    issues: tuple[Issue, ...] = ()
    has_escapes: bool = True
    has_nulls: bool = True
    counts: dict[str, int] = field(default_factory=dict[str, int])
    """How many segments each name has."""

    def text(self, escaped: str) -> str:
        """The text of one leaf: escapes read, outer white space and control characters left out."""
        if self.has_escapes:
            escaped = unescape(escaped, self.marks, self.codec)
        text = escaped.strip()
        return text if text.isprintable() else "".join(filter(_is_text, text)).strip()

    def get(self, address: str) -> str:
        """The text at `PID-5[1].2`, `OBX#3-5`, `PID-3[2].4.2`; what is left out is 1; absent is "".

        Raises ValueError for what is no address.
        """
        found = _ADDRESS.match(address)
        if not found:
            raise ValueError(f"{address!r} is no HL7 v2 address, such as PID-5[1].2")
        name = found[1]
        ordinal, number, *rest = (int(part or 1) for part in found.groups()[1:])
        for segment in self.segments:
            if segment.name == name and segment.ordinal == ordinal and 0 < number <= len(segment.fields):
                tree: Field | Tree = segment.fields[number - 1]
                for index in rest:
                    if not 0 < index <= len(tree):
                        return ""
                    tree = tree[index - 1]
                return self.text(str(tree))
        return ""

    def leaves(self) -> Iterator[tuple[Position, str]]:
        """Every leaf that holds more than white space, in the order of the message, still escaped."""
        for index, segment in enumerate(self.segments):
            for number, repetitions in enumerate(segment.fields, 1):
                if repetitions is EMPTY:
                    continue
                for count, components in enumerate(repetitions, 1):
                    for place, leaves in enumerate(components, 1):
                        for last, text in enumerate(leaves, 1):
                            if text and not text.isspace():
                                yield (index, number, count, place, last), text

    def address(self, position: Position) -> str:
        """Where a leaf stands, as short as it is unambiguous: `PID-7`, `PID-3[1].4.2`, `OBX#3-5`."""
        index, number, count, place, last = position
        segment = self.segments[index]
        name = f"{segment.name}#{segment.ordinal}" if self.counts[segment.name] > 1 else segment.name
        repetitions = segment.fields[number - 1]
        components = repetitions[count - 1]
        if len(components) == 1 and len(components[0]) == 1:
            return f"{name}-{number}" if len(repetitions) == 1 else f"{name}-{number}[{count}]"
        if len(components[place - 1]) == 1:
            return f"{name}-{number}[{count}].{place}"
        return f"{name}-{number}[{count}].{place}.{last}"


def is_empty(tree: Tree | Field) -> bool:
    """True when no leaf of the tree holds anything but white space."""
    # Loops, and no recursion where there is one part: this runs for each part of a message.
    while not isinstance(tree, str):
        if len(tree) != 1:
            for part in tree:  # noqa: SIM110
                if not is_empty(part):
                    return False
            return True
        tree = tree[0]
    return not tree or tree.isspace()


def parse(raw: bytes | str) -> Message:
    r"""Read one message. Raises OutcomeError that names the segment or field, and nothing else.

    >>> parse("MSH|^~\\&|EHR\rPID|1||7^^^H~8\r").get("PID-3[2].1")
    '8'
    """
    text, codec, issues = text_of(raw) if isinstance(raw, bytes) else (raw, "utf_8", ())
    lines = _LINE_ENDS.split(text.strip(_FRAMING).translate(_CONTROLS))
    header = lines[0]
    if not header.startswith("MSH"):
        raise _refused("The message does not begin with MSH: send the header segment first", "MSH")
    marks, encoding = _delimiters(header)
    counts: dict[str, int] = {}
    segments: list[Segment] = []
    rows, more = _rows(lines, marks)
    for name, row in rows:
        counts[name] = counts.get(name, 0) + 1
        if name != "MSH":
            segments.append(Segment(name, counts[name], _fields(row[4:], marks) if row[3:] else []))
        elif counts[name] == 1:
            fields = _fields(row[4 + len(encoding) + 1 :], marks)
            segments.append(Segment(name, 1, [[[[marks.field]]], [[[encoding]]], *fields]))
        else:
            raise _refused("A second MSH stands in the message: send one message at a time", "MSH#2")
    has_escapes = bool(marks.escape) and marks.escape in text
    return Message(segments, marks, codec, issues + more, has_escapes, NULL in text, counts)


def print_message(message: Message) -> str:
    """Write the message as ER7 with `\\r` after each segment; `parse` reads the same tree back."""
    marks = message.marks
    lines: list[str] = []
    for segment in message.segments:
        texts = [
            marks.repetition.join(
                marks.component.join(marks.subcomponent.join(leaves) for leaves in components)
                for components in repetitions
            )
            for repetitions in segment.fields
        ]
        if segment.name == "MSH":
            lines.append(f"MSH{marks.field}{marks.field.join(texts[1:])}")
        else:
            lines.append(marks.field.join([segment.name, *texts]))
    return "".join(f"{line}\r" for line in lines)


def messages_in(raw: bytes) -> list[bytes]:
    """Cut a file or batch (FHS, BHS ... BTS, FTS) into its messages; what stands before the first MSH is left.

    >>> len(messages_in(b"FHS|^~\\\\&\\rMSH|^~\\\\&|A\\rMSH|^~\\\\&|B\\rFTS|2"))
    2
    """
    cut = re.split(rb"(?:\A|(?<=[\r\n\x0b]))(?=(?:\xef\xbb\xbf)?MSH[^A-Za-z0-9\s])", raw)
    return [
        re.split(rb"[\r\n](?:BTS|FTS|BHS|FHS)\b", part)[0]
        for part in cut
        if part.lstrip(b"\xef\xbb\xbf").startswith(b"MSH")
    ]


def _is_text(letter: str) -> bool:
    return letter in "\t\n\r" or (
        letter >= " " and not "\x7f" <= letter <= "\x9f" and not "\ud800" <= letter <= "\udfff"
    )


def _refused(text: str, where: str) -> OutcomeError:
    return OutcomeError(Issue("structure", f"{text}.", where))


def _delimiters(header: str) -> tuple[Delimiters, str]:
    mark = header[3:4]
    if not mark or mark.isalnum() or mark.isspace():
        raise _refused("MSH-1 is missing: the field separator follows the letters MSH", "MSH-1")
    encoding = header[4:].split(mark, 1)[0]
    letters = encoding.rstrip()
    if letters[4:] and letters[2] == letters[3] == "\\":
        letters = letters[:2] + letters[3:]  # A file quoted as a string literal doubles the escape character.
    if not letters or any(letter.isalnum() or letter.isspace() for letter in letters):
        raise _refused("MSH-2 does not name the encoding characters, such as ^~\\&", "MSH-2")
    if len({mark, *letters[:4]}) < len(letters[:4]) + 1:
        raise _refused("MSH-2 names the same character twice", "MSH-2")
    rest = [letter for letter in "^~\\&" if letter not in letters and letter != mark]
    full = letters[:4] + "".join(
        ("^~\\&"[at] if "^~\\&"[at] in rest else "") for at in range(len(letters), 4)
    )
    repetition, escape, subcomponent = (full[at : at + 1] for at in (1, 2, 3))
    return Delimiters(mark, full[0], repetition, escape, subcomponent), encoding


def _rows(lines: list[str], marks: Delimiters) -> tuple[list[tuple[str, str]], tuple[Issue, ...]]:
    """Lines to segments; a line that is none continues the one before (a sender broke a text in two)."""
    rows: list[tuple[str, str]] = []
    issues: list[Issue] = []
    for number, line in enumerate(lines, 1):
        name = line[:3]
        if _SEGMENT.match(name) and line[3:4] in {"", marks.field}:
            rows.append((name, line))
        elif not line.strip():
            continue
        elif not rows[1:]:
            raise _refused(f"Line {number} is not a segment: each line begins with three capitals", "MSH")
        else:
            last, text = rows[-1]
            rows[-1] = (last, f"{text}{marks.escape}.br{marks.escape}{line}")
            issues.append(
                Issue("structure", f"Line {number} is not a segment: read on from {last}.", last, "warning")
            )
    return rows, tuple(issues)


def _fields(row: str, marks: Delimiters) -> list[Field]:
    component, repetition, subcomponent = marks.component, marks.repetition, marks.subcomponent
    fields: list[Field] = []
    for text in row.split(marks.field):
        if not text:
            fields.append(EMPTY)
            continue
        if (
            component not in text
            and not (repetition and repetition in text)
            and not (subcomponent and subcomponent in text)
        ):
            fields.append([[[text]]])
            continue
        fields.append(
            [
                [(part.split(subcomponent) if subcomponent else [part]) for part in (one.split(component))]
                for one in (text.split(repetition) if repetition else [text])
            ]
        )
    return fields
