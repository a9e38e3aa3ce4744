"""fhir.profile.match: whether a value is what fixed[x] or pattern[x] asks for.

Room: fhir. May import: the standard library only.
Standard: https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.pattern_x_
"""

from __future__ import annotations

from typing import Any


def is_fixed(value: Any, fixed: Any) -> bool:
    """Exactly the same, with nothing more.

    >>> is_fixed({"code": "a", "display": "A"}, {"code": "a"})
    False
    """
    # True == 1 in Python, not in FHIR.
    return value is fixed or (bool not in {type(value), type(fixed)} and value == fixed)


def fits(value: Any, pattern: Any) -> bool:
    """All that the pattern says, and perhaps more; each item of a list of the pattern is somewhere in the list.

    >>> fits({"coding": [{"code": "b"}, {"code": "a", "display": "A"}]}, {"coding": [{"code": "a"}]})
    True
    """
    if type(pattern) is dict:
        return type(value) is dict and all(
            key in value and fits(value[key], asked) for key, asked in pattern.items()
        )
    if type(pattern) is list:
        return type(value) is list and all(any(fits(one, asked) for one in value) for asked in pattern)
    return is_fixed(value, pattern)
