"""fhir.path: FHIRPath N1 for R4: text to a tree (`parse`), to an expression that is evaluated (`compile`).

Room: fhir. No I/O. Standard: http://hl7.org/fhirpath/N1/ and https://hl7.org/fhir/R4/fhirpath.html

    from careloom.fhir.path import Context, compile, parse
    compile("name.where(use = 'official').given.first()")(patient)      # ["Peter"]: plain JSON values
    compile("%amount > 3")(patient, amount=4)                           # [True]
    compile("subject.resolve().id").nodes(observation, Context(resolve=read))   # typed, with their places
    compile("name.given", of="Patient")                                 # an unknown element is an error
    compile("start <= end").holds(period, type="Period")                # an element instead of a resource
    parse("name.given")                                                 # the tree alone (path.tree)

The tree holds no evaluation, so that other compilers can start from it. What cannot be read or evaluated raises
OutcomeError: `invalid` (syntax, unknown function or type, with the character), `processing` (the values do not go with
what is asked), `too-costly` (a bound was reached: nesting, steps, texts, time of regular expressions).
"""

from __future__ import annotations

from careloom.fhir.path.compiled import Compiled, compile  # noqa: A004 - as re.compile
from careloom.fhir.path.env import Context
from careloom.fhir.path.parser import parse
from careloom.fhir.path.value import Node, Quantity, system

__all__ = ["Compiled", "Context", "Node", "Quantity", "compile", "parse", "system"]
