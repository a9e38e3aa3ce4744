"""fhir.narrative: whether Narrative.div is XHTML that may be shown.

Room: fhir. May import: the standard library only. Standard: https://hl7.org/fhir/R4/narrative.html#xhtml

Well-formed, one div around all, formatting elements only (invariant txt-1): no script, form, frame or object, no
event attribute, no address that runs code. Entities of HTML (&nbsp;) are taken as given. That there is something to
read (txt-2) is not asked: narratives of R4's own examples are empty.
"""

from __future__ import annotations

from html.entities import name2codepoint
from typing import Any
from xml.parsers import expat

# txt-1 of R4: chapters 7-11 (but for section 4 of chapter 9) and 15 of HTML 4.0, a, img, and style attributes.
_ELEMENT_NAMES = (
    "div p span br hr h1 h2 h3 h4 h5 h6 a img b i u s em strong small big tt sub sup code pre samp kbd var dfn cite "
    "abbr acronym q blockquote address bdo ins del strike center font ul ol li dl dt dd table caption thead tbody "
    "tfoot tr td th col colgroup map area"
)
_ELEMENTS = frozenset(_ELEMENT_NAMES.split())
_ADDRESSES = frozenset({"href", "src"})
_RUNNING = ("javascript:", "vbscript:", "data:text")


XHTML = "http://www.w3.org/1999/xhtml"


class _Forbidden(Exception):  # noqa: N818 a signal out of the parser, caught below
    pass


def is_narrative(value: Any) -> bool:
    """Whether the value is such a div.

    >>> is_narrative('<div xmlns="http://www.w3.org/1999/xhtml">a&nbsp;<b>b</b></div>')
    True
    >>> is_narrative('<div xmlns="http://www.w3.org/1999/xhtml"><script>x</script></div>')
    False
    """
    if type(value) is not str or not value.lstrip().startswith("<div"):
        return False
    parser = expat.ParserCreate()
    parser.UseForeignDTD(True)  # noqa: FBT003 entities that a DTD would define are then no error
    parser.StartElementHandler = _Start()
    parser.SkippedEntityHandler = _entity
    try:
        parser.Parse(value.encode("utf-8"), True)  # noqa: FBT003
    except (expat.ExpatError, _Forbidden, UnicodeEncodeError):
        return False
    return True


class _Start:
    """Called at each element; the first one names XHTML."""

    def __init__(self) -> None:
        self._is_within = False

    def __call__(self, name: str, attributes: dict[str, str]) -> None:
        if name not in _ELEMENTS or (not self._is_within and attributes.get("xmlns") != XHTML):
            raise _Forbidden
        self._is_within = True
        for attribute, text in attributes.items():
            runs = attribute in _ADDRESSES and text.strip().lower().startswith(_RUNNING)
            if runs or attribute.startswith("on"):
                raise _Forbidden


def _entity(name: str, _is_parameter: bool) -> None:  # noqa: FBT001 so expat calls it
    if name not in name2codepoint:
        raise _Forbidden
