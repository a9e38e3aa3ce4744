"""fhir.xml.narrative: the XHTML div inside XML: taken out as it stands, and made fit to be put in.

Room: fhir. May import: fhir.outcome, fhir.xml.slot. Standard: https://hl7.org/fhir/R4/narrative.html#xhtml

In JSON a div stands alone, so it must declare its namespace itself and use no prefix that only the document around
it declares. Where that is so, its characters are kept; else it is written anew from what was read. In XML no entity
of HTML is known, so &nbsp; becomes the character that it names.
"""

from __future__ import annotations

import re
from html.entities import html5
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.xml.slot import MAX_DEPTH, XHTML

_XHTML = f"{XHTML} "
_ENTITY = re.compile(r"&([A-Za-z][A-Za-z0-9]*);")
_OF_XML = frozenset({"lt", "gt", "amp", "quot", "apos"})
_DECLARES = re.compile(rb"""<div\s(?:[^>]*\s)?xmlns\s*=\s*["']http://www\.w3\.org/1999/xhtml["']""")
_TAG = re.compile(rb"""<(?:[^>"']|"[^"]*"|'[^']*')*>""")
_PREFIXED = re.compile(rb"</?[^\s<>!?/]+?:|\sxmlns:")


class Div:
    """Gathers one div while it is read."""

    def __init__(self, raw: bytes, begin: int) -> None:
        self._raw = raw
        self._begin = begin
        self._depth = 0
        self._anew: list[str] = []

    def start(self, qualified: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        space, _, name = qualified.rpartition(" ")
        if space != XHTML:
            raise OutcomeError(Issue("structure", f"All of a narrative stands in the namespace {XHTML}."))
        if self._depth >= MAX_DEPTH:
            raise OutcomeError(Issue("too-costly", "The narrative is nested too deeply."))
        given = dict(attributes) if self._depth else {"xmlns": XHTML, **attributes}
        # An attribute of another namespace can only be xml:lang or xml:space, whose prefix is always known.
        pairs = "".join(f" {_attribute(name)}={quoteattr(text)}" for name, text in given.items())
        self._anew.append(f"<{name}{pairs}>")
        self._depth += 1

    def text(self, text: str) -> None:
        """Text between tags."""
        self._anew.append(escape(text))

    def end(self, qualified: str, index: int) -> str | None:
        """An element ends; the whole div where it was the outermost."""
        self._depth -= 1
        self._anew.append(f"</{qualified.rpartition(' ')[2]}>")
        if self._depth:
            return None
        return self._as_it_stands(index) or "".join(self._anew)

    def _as_it_stands(self, index: int) -> str:
        tag = _TAG.match(self._raw, self._begin)
        is_empty = tag is not None and tag[0].endswith(b"/>")
        last = tag if is_empty else _TAG.match(self._raw, index)
        piece = self._raw[self._begin : last.end()] if last is not None else b""
        if _DECLARES.match(piece) is None or _PREFIXED.search(piece):
            return ""
        return _one_line_end(piece.decode())


def _attribute(name: str) -> str:
    space, _, bare = name.rpartition(" ")
    return f"xml:{bare}" if space else bare


def embeddable(div: object) -> str:
    """The div of a JSON narrative as it may stand in XML. Raises OutcomeError where it is not one well-formed div.

    >>> embeddable('<div xmlns="http://www.w3.org/1999/xhtml">a&nbsp;b</div>')[-14:]
    'a&#160;b</div>'
    """
    if type(div) is not str or not div.lstrip().startswith("<div"):
        raise OutcomeError(_NOT_XHTML)
    text = _one_line_end(div.strip())
    if "&" in text:
        text = _ENTITY.sub(_character, text)
    if " xmlns=" not in text.partition(">")[0]:
        text = f'<div xmlns="{XHTML}"{text[4:]}'
    parser = expat.ParserCreate("UTF-8", " ")
    parser.StartElementHandler = _must_be_xhtml
    try:
        parser.Parse(text.encode(), True)  # noqa: FBT003 this is all of it
    except (expat.ExpatError, UnicodeEncodeError):
        raise OutcomeError(_NOT_XHTML) from None
    return text


def _one_line_end(text: str) -> str:
    """A parser sees one kind of line end (XML 1.0, section 2.11), so that XML cannot keep the others."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


_NOT_XHTML = Issue("structure", "The div of a narrative is not well-formed XHTML.")


def _character(found: re.Match[str]) -> str:
    named = "" if found[1] in _OF_XML else html5.get(f"{found[1]};", "")
    # By number, because HTML knows entities for < and & too.
    return "".join(f"&#{ord(character)};" for character in named) or found[0]


def _must_be_xhtml(qualified: str, _attributes: dict[str, str]) -> None:
    if not qualified.startswith(_XHTML):
        raise OutcomeError(_NOT_XHTML)
