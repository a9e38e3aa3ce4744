"""fhir.path.fault: how an expression that cannot be read or evaluated is refused.

Room: fhir. May import: fhir.outcome. The texts name positions and functions, never a value of a resource.
"""

from __future__ import annotations

from careloom.fhir.outcome import Issue, OutcomeError


def syntax_error(text: str, at: int) -> OutcomeError:
    """What is written cannot be read; `at` counts characters from 0, people count from 1."""
    return OutcomeError(Issue("invalid", f"{text} (FHIRPath, character {at + 1})."))


def semantic_error(text: str, at: int) -> OutcomeError:
    """What is written can be read and cannot be meant: an element or function that does not exist."""
    return OutcomeError(Issue("invalid", f"{text} (FHIRPath, character {at + 1})."))


def execution_error(text: str) -> OutcomeError:
    """The values that were found do not go with what is asked of them."""
    return OutcomeError(Issue("processing", f"{text} (FHIRPath)."))


def too_costly(text: str) -> OutcomeError:
    """A bound was reached that keeps one expression from holding up everything else."""
    return OutcomeError(Issue("too-costly", text))
