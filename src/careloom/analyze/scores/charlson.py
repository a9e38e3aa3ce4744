"""analyze.scores.charlson: the comorbidity score as the LACE index weighs it.

Room: analyze. Pure. Standards: weights of van Walraven 2010 (doi 10.1503/cmaj.091117) as tabled in
Wang 2014 (doi 10.1186/1471-2261-14-97, table 1); ICD-10 groups of Quan 2005 (doi 10.1097/01.mlr.0000182534.19832.83).

The weights differ from Charlson's of 1987. How renal disease is graded: docs/reference/scores.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from careloom.store.score import SNOMED

ICD_10 = frozenset({"http://hl7.org/fhir/sid/icd-10", "http://hl7.org/fhir/sid/icd-10-cm"})


@dataclass(frozen=True, slots=True)
class Comorbidity:
    """One group: its weight, the beginnings of its ICD-10 codes (without dots), and SNOMED CT concepts."""

    name: str
    weight: int
    icd_10: tuple[str, ...]
    snomed: frozenset[str] = frozenset()


_DIABETES = tuple(f"E1{kind}" for kind in range(5))

GROUPS: tuple[Comorbidity, ...] = (
    Comorbidity("Previous myocardial infarction", 1, ("I21", "I22", "I252"), frozenset({"22298006", "399211009"})),
    Comorbidity(
        "Cerebrovascular disease",
        1,
        ("G45", "G46", "H340", "I60", "I61", "I62", "I63", "I64", "I65", "I66", "I67", "I68", "I69"),
        frozenset({"230690007"}),
    ),
    Comorbidity(
        "Peripheral vascular disease",
        1,
        ("I70", "I71", "I731", "I738", "I739", "I771", "I790", "I792", "K551", "K558", "K559", "Z958", "Z959"),
    ),
    Comorbidity(
        "Diabetes without complications",
        1,
        tuple(stem + tail for stem in _DIABETES for tail in "01689"),
        frozenset({"44054006", "73211009"}),
    ),
    Comorbidity(
        "Congestive heart failure",
        2,
        ("I099", "I110", "I130", "I132", "I255", "I420", "I425", "I426", "I427", "I428", "I429", "I43", "I50"),
        frozenset({"84114007"}),
    ),
    Comorbidity(
        "Diabetes with end organ damage",
        2,
        tuple(stem + tail for stem in _DIABETES for tail in "23457"),
        frozenset({"127013003"}),
    ),
    Comorbidity(
        "Chronic pulmonary disease",
        2,
        (
            "I278", "I279", "J40", "J41", "J42", "J43", "J44", "J45", "J46", "J47", "J60", "J61", "J62", "J63",
            "J64", "J65", "J66", "J67", "J684", "J701", "J703",
        ),
        frozenset({"13645005", "195967001"}),
    ),
    Comorbidity(
        "Mild liver or renal disease",
        2,
        (
            "B18", "K700", "K701", "K702", "K703", "K709", "K713", "K714", "K715", "K717", "K73", "K74", "K760",
            "K762", "K763", "K764", "K768", "K769", "Z944", "N181", "N182", "N183", "N189",
        ),
        frozenset({"19943007", "709044004", "431855005", "431856006", "433144002"}),
    ),
    Comorbidity(
        "Any tumor",
        2,
        (
            *(f"C{number:02}" for number in (*range(27), *range(30, 35), *range(37, 42), 43, *range(45, 59))),
            *(f"C{number:02}" for number in (*range(60, 77), *range(81, 86), 88, *range(90, 98))),
        ),
        frozenset({"363346000", "254837009", "363406005"}),
    ),
    Comorbidity(
        "Dementia", 3, ("F00", "F01", "F02", "F03", "F051", "G30", "G311"), frozenset({"52448006", "26929004"})
    ),
    Comorbidity(
        "Connective tissue disease",
        3,
        ("M05", "M06", "M315", "M32", "M33", "M34", "M351", "M353", "M360"),
        frozenset({"69896004"}),
    ),
    Comorbidity("AIDS", 4, ("B20", "B21", "B22", "B24")),
    Comorbidity(
        "Moderate or severe liver or renal disease",
        4,
        (
            "I850", "I859", "I864", "I982", "K704", "K711", "K721", "K729", "K765", "K766", "K767", "N184", "N185",
            "N186", "N19", "Z490", "Z491", "Z492", "Z940", "Z992",
        ),
        frozenset({"431857002", "433146000"}),
    ),
    Comorbidity("Metastatic solid tumor", 6, ("C77", "C78", "C79", "C80")),
)  # fmt: skip

OUTRANKED: dict[str, str] = {
    "Diabetes without complications": "Diabetes with end organ damage",
    "Mild liver or renal disease": "Moderate or severe liver or renal disease",
    "Any tumor": "Metastatic solid tumor",
}
"""The milder group does not count beside the graver one."""

_READABLE = ICD_10 | {SNOMED}


def is_readable(code: tuple[str, str]) -> bool:
    """True if the code's system is one that the groups are written in."""
    return code[0] in _READABLE


def groups(codes: Iterable[tuple[str, str]]) -> tuple[Comorbidity, ...]:
    """The comorbidities that (system, code) pairs name, in the order of the table.

    >>> [group.name for group in groups([("http://hl7.org/fhir/sid/icd-10-cm", "I50.9")])]
    ['Congestive heart failure']
    """
    held = set(codes)
    found = {group.name: group for group in GROUPS if any(_names(group, code) for code in held)}
    return tuple(group for name, group in found.items() if OUTRANKED.get(name) not in found)


def weight(comorbidities: Iterable[Comorbidity]) -> int:
    """The sum of their weights."""
    return sum(group.weight for group in comorbidities)


def _names(group: Comorbidity, code: tuple[str, str]) -> bool:
    system, value = code
    if system in ICD_10:
        return value.replace(".", "").upper().startswith(group.icd_10)
    return system == SNOMED and value in group.snomed
