"""fhir.xml.read: FHIR XML to the JSON form of the resource.

Room: fhir. May import: fhir.facts, fhir.outcome, fhir.xml. Standard: https://hl7.org/fhir/R4/xml.html

Strict where XML is: element order, one value for what does not repeat, no text between elements. A document type
declaration is refused before anything of it is read, so that no entity can be declared, expanded or fetched.
Comments and processing instructions are dropped. The div of a narrative keeps its characters as they came.
"""

from __future__ import annotations

from typing import Any, NoReturn
from xml.parsers import expat

from careloom.fhir.facts import resource_types
from careloom.fhir.outcome import Issue, IssueCode, OutcomeError
from careloom.fhir.resource import Resource
from careloom.fhir.xml.lexical import reader_of
from careloom.fhir.xml.narrative import Div
from careloom.fhir.xml.slot import FHIR, MAX_DEPTH, NARRATIVE, PRIMITIVE, RESOURCE, Slot, attributes, elements

_FHIR = f"{FHIR} "
# Attributes of this namespace point validators to a schema; they say nothing of the resource.
_SCHEMA_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance "
_BLANK = " \t\r\n"


def loads(raw: bytes | str) -> Resource:
    """Read one resource. Raises OutcomeError that names line and column.

    >>> loads('<Basic xmlns="http://hl7.org/fhir"><id value="7"/></Basic>')
    {'resourceType': 'Basic', 'id': '7'}
    """
    try:
        body = raw.encode() if isinstance(raw, str) else raw
        # expat would follow the signs of UTF-16, whatever encoding it is told.
        if b"\0" in body[:4] or body.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise OutcomeError(Issue("not-supported", "FHIR XML is encoded in UTF-8 (line 1, column 1)."))
        return _Reader(body).resource()
    except expat.ExpatError as error:
        where = f"line {error.lineno}, column {error.offset + 1}"
        text = f"The body is not XML: {expat.ErrorString(error.code)} ({where})."
        raise OutcomeError(Issue("structure", text)) from None
    except UnicodeEncodeError:
        raise OutcomeError(Issue("structure", "The body is not XML: it holds half a character.")) from None


class _Frame:
    """An open element: `holds` is its type, "" for a wrapper that holds a whole resource."""

    __slots__ = ("elements", "has_siblings", "holds", "last", "name", "value")

    def __init__(self, name: str, holds: str, value: dict[str, Any]) -> None:
        self.name = name
        self.holds = holds
        self.value = value
        self.elements = elements(holds) if holds else {}
        self.last = -1
        self.has_siblings = False


class _Reader:
    """Handlers of one document. An open primitive is its Slot alone, until a child makes a frame of it."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._open: list[_Frame | Slot] = []
        self._root: Resource = {}
        self._div: Div | None = None
        # The standard knows UTF-8 only; naming it here makes other encodings malformed.
        self._parser = parser = expat.ParserCreate("UTF-8", " ")
        parser.buffer_text = True
        parser.XmlDeclHandler = self._declared
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text

    def resource(self) -> Resource:
        try:
            self._parser.Parse(self._raw, True)  # noqa: FBT003 this is all of it
        finally:
            # Parser and handlers hold each other; a large body shall not wait for the garbage collector.
            del self._parser
        return self._root

    def _fail(self, text: str, code: IssueCode = "structure", name: str = "") -> NoReturn:
        names = [one.name if isinstance(one, _Frame) else one.key for one in self._open]
        where = f"line {self._parser.CurrentLineNumber}, column {self._parser.CurrentColumnNumber + 1}"
        path = ".".join([*names, name] if name else names)
        raise OutcomeError(Issue(code, f"{text} ({where}).", path))

    def _declared(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.upper() not in {"UTF-8", "US-ASCII", "ASCII"}:
            self._fail("FHIR XML is encoded in UTF-8", "not-supported")

    def _doctype(self, *_: object) -> None:
        self._fail("A document type declaration is not allowed in FHIR XML")

    def _start(self, qualified: str, given: dict[str, str]) -> None:
        if self._div is not None:
            self._div.start(qualified, given)
            return
        if not self._open:
            self._root = {}
            self._start_resource(self._root, qualified, given)
            return
        top = self._open[-1]
        parent = top if isinstance(top, _Frame) else self._sibling(top)
        slot = parent.elements.get(qualified)
        if slot is None:
            self._start_other(parent, qualified, given)
            return
        if slot.order <= parent.last:
            self._refuse_out_of_place(parent, slot)
        parent.last = slot.order
        if slot.form == PRIMITIVE:
            self._start_primitive(parent, slot, given)
        elif slot.form == NARRATIVE:
            self._div = Div(self._raw, self._parser.CurrentByteIndex)
            self._div.start(qualified, given)
        else:
            self._start_element(parent, slot, given)

    def _refuse_out_of_place(self, parent: _Frame, slot: Slot) -> None:
        """Refuse what comes too late or twice; the types of a choice share their place."""
        if slot.order < parent.last:
            self._fail(
                f"The element {slot.key} stands too late: R4 gives the order of elements", name=slot.key
            )
        if not slot.is_many and (slot.key in parent.value or f"_{slot.key}" in parent.value):
            self._fail(f"The element {slot.key} may stand here only once", name=slot.key)

    def _start_other(self, parent: _Frame, qualified: str, given: dict[str, str]) -> None:
        if not parent.holds and not parent.value:
            self._start_resource(parent.value, qualified, given)
        elif not parent.holds:
            self._fail(f"The element {parent.name} holds one resource")
        elif not qualified.startswith(_FHIR):
            self._fail(f"Elements of a resource stand in the namespace {FHIR}")
        else:
            self._fail(f"R4 has no element {qualified[len(_FHIR) :][:64]} here")

    def _start_resource(self, resource: Resource, qualified: str, given: dict[str, str]) -> None:
        rtype = qualified[len(_FHIR) :]
        if not qualified.startswith(_FHIR) or rtype not in resource_types():
            self._fail(f"Expected the name of an R4 resource type in the namespace {FHIR}")
        resource["resourceType"] = rtype
        self._push(_Frame(rtype, rtype, resource))
        for attribute in given:
            self._foreign(attribute)

    def _push(self, frame: _Frame) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise OutcomeError(Issue("too-costly", "The resource is nested too deeply."))
        self._open.append(frame)

    def _start_element(self, parent: _Frame, slot: Slot, given: dict[str, str]) -> None:
        value: dict[str, Any] = {}
        if slot.is_many:
            parent.value.setdefault(slot.key, []).append(value)
        else:
            parent.value[slot.key] = value
        self._push(_Frame(slot.key, "" if slot.form == RESOURCE else slot.kind, value))
        if given:
            known = attributes(slot.kind) if slot.form != RESOURCE else frozenset[str]()
            for attribute, text in given.items():
                if attribute in known:
                    value[attribute] = text
                else:
                    self._foreign(attribute)

    def _start_primitive(self, parent: _Frame, slot: Slot, given: dict[str, str]) -> None:
        text = given.get("value")
        if text is not None:
            read = reader_of(slot.kind)
            value = text if read is None else read(text)
            if value is None:
                self._fail(f"Expected a value of type {slot.kind}", "value", slot.key)
            if slot.is_many:
                _append(parent.value, slot.key, value)
            else:
                parent.value[slot.key] = value
        self._open.append(slot)
        if text is None or len(given) > 1:
            sibling = self._sibling(slot, has_value=text is not None)
            for attribute, content in given.items():
                if attribute == "id":
                    sibling.value["id"] = content
                elif attribute != "value":
                    self._foreign(attribute)

    def _sibling(self, slot: Slot, *, has_value: bool = True) -> _Frame:
        """Give the open primitive a frame for its id and extensions, and that its place in the parent."""
        value: dict[str, Any] = {}
        parent = self._open[-2]
        assert isinstance(parent, _Frame)  # noqa: S101 only frames hold primitives
        if slot.is_many:
            parent.has_siblings = True
            _append(parent.value, f"_{slot.key}", value, after=has_value)
        else:
            parent.value[f"_{slot.key}"] = value
        frame = _Frame(slot.key, "Element", value)
        self._open[-1] = frame
        return frame

    def _foreign(self, attribute: str) -> None:
        if not attribute.startswith(_SCHEMA_INSTANCE):
            self._fail(f"R4 has no attribute {attribute.rpartition(' ')[2][:64]} here")

    def _end(self, qualified: str) -> None:
        if self._div is not None:
            self._end_in_div(self._div, qualified)
            return
        frame = self._open.pop()
        if isinstance(frame, _Frame):
            if not frame.value:
                self._open.append(frame)
                self._fail(f"The element {frame.name} is empty")
            if frame.has_siblings:
                _pad(frame.value)

    def _end_in_div(self, div: Div, qualified: str) -> None:
        text = div.end(qualified, self._parser.CurrentByteIndex)
        parent = self._open[-1]
        if text is not None and isinstance(parent, _Frame):
            parent.value["div"] = text
            self._div = None

    def _text(self, text: str) -> None:
        if self._div is not None:
            self._div.text(text)
        elif text.strip(_BLANK):
            self._fail("Text stands between elements; a value stands in the attribute value")


def _append(owner: dict[str, Any], key: str, item: Any, *, after: bool = False) -> None:
    """Append to one of the lists `given` and `_given`; null stands for what only the other one has.

    `after`: the value of the same item stands in the other list already.
    """
    items = owner.setdefault(key, [])
    twins = owner.get(key[1:] if key[0] == "_" else f"_{key}")
    if twins is not None:
        items.extend([None] * (len(twins) - after - len(items)))
    items.append(item)


def _pad(owner: dict[str, Any]) -> None:
    """Make the lists with and without _ equally long."""
    for key, siblings in owner.items():
        values = owner.get(key[1:]) if key[0] == "_" and type(siblings) is list else None
        if values is not None:
            values.extend([None] * (len(siblings) - len(values)))
            siblings.extend([None] * (len(values) - len(siblings)))
