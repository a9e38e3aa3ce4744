"""unify.hl7v2.escape: escape sequences of ER7 text (`\\T\\` is `&`, `\\.br\\` is a line break ...).

Room: unify. May import: the standard library only. Standard: HL7 v2.9 chapter 2.7.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Delimiters:
    """The five characters that MSH-1 and MSH-2 name."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"


# Formatting commands that end a line; the other commands say how it looks, which plain text cannot hold.
_BREAKS = (".br", ".sp", ".ce")
_LOOKS = (".in", ".ti", ".fi", ".nf", ".sk")


def unescape(text: str, marks: Delimiters, codec: str = "utf_8") -> str:
    r"""Read escapes; an unknown or unfinished sequence stays as it came.

    >>> unescape(r"A\T\B \Z1\ \.br\C", Delimiters())
    'A&B \\Z1\\ \nC'
    """
    mark = marks.escape
    if not mark or mark not in text:
        return text
    known = {
        "F": marks.field,
        "S": marks.component,
        "T": marks.subcomponent,
        "R": marks.repetition,
        "E": mark,
        "H": "",
        "N": "",
    }
    out: list[str] = []
    at = 0
    while (start := text.find(mark, at)) >= 0:
        end = text.find(mark, start + 1)
        if end < 0:
            break
        meaning = _meaning(text[start + 1 : end], known, codec)
        if meaning is None:
            # \Zxx\, \Cxxyy\ and \Mxxyyzz\ are sequences that cannot be read; anything else is a stray mark, and
            # the next mark may open a sequence.
            is_local = text[start + 1 : start + 2] in {"Z", "C", "M"}
            out.append(text[at : end + is_local])
            at = end + is_local
            continue
        out.append(text[at:start])
        out.append(meaning)
        at = end + 1
    out.append(text[at:])
    return "".join(out)


def escape(text: str, marks: Delimiters) -> str:
    r"""Write text so that `unescape` reads it back.

    >>> escape("A&B", Delimiters())
    'A\\T\\B'
    """
    mark = marks.escape
    table = {
        mark: f"{mark}E{mark}",
        marks.field: f"{mark}F{mark}",
        marks.component: f"{mark}S{mark}",
        marks.subcomponent: f"{mark}T{mark}",
        marks.repetition: f"{mark}R{mark}",
        "\n": f"{mark}.br{mark}",
        "\r": f"{mark}X0D{mark}",
    }
    return "".join(table.get(letter, letter) for letter in text)


def _meaning(code: str, known: dict[str, str], codec: str) -> str | None:
    if code in known:
        return known[code]
    if code[:1] == "X" and len(code) > 1:
        return _hexadecimal(code[1:], codec)
    command = code[:3].lower()
    if command in _BREAKS:
        lines = code[3:].strip().lstrip("+")
        return "\n" * (min(int(lines), 20) if lines.isascii() and lines.isdigit() and lines != "0" else 1)
    if command == ".sk" and code[3:].strip().isascii() and code[3:].strip().isdigit():
        return " " * min(int(code[3:]), 80)
    return "" if command in _LOOKS else None


def _hexadecimal(digits: str, codec: str) -> str | None:
    try:
        return bytes.fromhex(digits).decode(codec)
    except (ValueError, UnicodeDecodeError):
        return None
