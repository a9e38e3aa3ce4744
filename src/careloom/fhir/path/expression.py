"""fhir.path.expression: regular expressions, compiled unless they are too long or repeat too much.

Room: fhir. May import: fhir.path, regex. Standard: http://hl7.org/fhirpath/N1/#matchesregex-string-boolean

How long one may run is bounded where it is used; this bounds what it takes to compile it: `((a{1000}){1000}){1000}` is
short, and a thousand million copies of `a`.
"""

from __future__ import annotations

from functools import lru_cache

import regex

from careloom.fhir.path.fault import execution_error, too_costly

MAX_PATTERN = 2000
"""Characters of a regular expression."""
MAX_COPIES = 20_000
"""Of a part of a regular expression, by all the counts around it together, summed over the parts."""
_PART = regex.compile(
    r"(?P<escape>\\.)|(?P<set>\[\^?\]?(?:[^\]\\]|\\.)*\])|(?P<open>\()|(?P<close>\))"
    r"|\{(?P<least>\d*)(?:,(?P<most>\d*))?\}|(?P<other>.)",
    regex.DOTALL,
)


@lru_cache(maxsize=512)
def pattern_of(written: str) -> regex.Pattern[str]:
    """The compiled pattern; raises OutcomeError(processing, too-costly)."""
    if len(written) > MAX_PATTERN:
        raise too_costly(f"A regular expression has more than {MAX_PATTERN} characters.")
    if copies(written) > MAX_COPIES:
        raise too_costly("A regular expression repeats its parts too many times.")
    try:
        # In FHIRPath the point stands for any character, line ends too (N1, matches: "single line mode").
        return regex.compile(written, regex.DOTALL | regex.VERSION0)
    except (regex.error, OverflowError, RecursionError):
        raise execution_error("The regular expression cannot be read") from None


def copies(written: str) -> int:
    """How many parts there are when each is written as often as it may be repeated; * and + count as once.

    >>> copies("a(bc{2}){10}")
    31
    """
    groups = [0]
    last = 0
    for match in _PART.finditer(written):
        if match["open"]:
            groups.append(0)
        elif match["close"]:
            last = groups.pop() if len(groups) > 1 else last
            groups[-1] += last
        elif match["least"] is not None:
            times = max(int(match["most"] or 0), int(match["least"] or 0), 1)
            groups[-1] += last * (times - 1)
            last *= times
        else:
            last = 1
            groups[-1] += 1
    return sum(groups)
