"""lake.omop.concept: the few concepts that the CDM itself asks for, and whose codes are whose vocabulary.

Room: lake. May import: lake.omop.facts, duckdb. Conventions: https://ohdsi.github.io/Themis and
https://ohdsi.github.io/CommonDataModel/cdm54.html; code systems: https://hl7.org/fhir/R4/terminologies-systems.html

The ids stand in concept.tsv: what asks for it, its code in FHIR, the concept with its name and domain, and by what it is
proven. The SQL of etl/ writes type concepts as numbers; a test says that each of them stands there. A vocabulary that is
loaded has the last word: `settle` follows its `Maps to`, and `unknown` says what it does not know.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import duckdb

from careloom.lake.omop.facts import lines

Rows = tuple[tuple[str | int | bool, ...], ...]

STAYS = frozenset({"IMP", "ACUTE", "NONAC", "OBSENC"})
"""Classes of an Encounter in which one stays over night."""


@dataclass(frozen=True, slots=True)
class Builtin:
    """A concept that careloom gives by itself."""

    use: str
    """gender, race, ethnicity, visit, operator, currency, type or cdm."""
    code: str
    concept_id: int
    name: str
    domain: str
    source: str
    """By what it is proven: docs/reference/omop.md says what stands behind the words."""


@cache
def builtins() -> tuple[Builtin, ...]:
    """All of concept.tsv.

    >>> next(each.concept_id for each in builtins() if each.use == "operator" and each.code == ">=")
    4171755
    """
    return tuple(
        Builtin(use, code, int(number), name, domain, source)
        for use, code, number, name, domain, source in lines("concept.tsv")
    )


VOCABULARY_OF: Rows = (
    ("http://snomed.info/sct", "SNOMED"),
    ("http://loinc.org", "LOINC"),
    ("http://www.nlm.nih.gov/research/umls/rxnorm", "RxNorm"),
    ("http://hl7.org/fhir/sid/icd-10-cm", "ICD10CM"),
    ("http://hl7.org/fhir/sid/icd-10", "ICD10"),
    ("http://hl7.org/fhir/sid/icd-9-cm", "ICD9CM"),
    ("http://www.cms.gov/Medicare/Coding/ICD10", "ICD10PCS"),
    ("http://fhir.de/CodeSystem/bfarm/icd-10-gm", "ICD10GM"),
    ("http://www.ama-assn.org/go/cpt", "CPT4"),
    ("https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets", "HCPCS"),
    ("http://hl7.org/fhir/sid/cvx", "CVX"),
    ("http://hl7.org/fhir/sid/ndc", "NDC"),
    ("http://www.whocc.no/atc", "ATC"),
    ("https://dmd.nhs.uk", "dm+d"),
    ("http://unitsofmeasure.org", "UCUM"),
    ("http://nucc.org/provider-taxonomy", "NUCC"),
    ("urn:oid:2.16.840.1.113883.6.96", "SNOMED"),
    ("urn:oid:2.16.840.1.113883.6.1", "LOINC"),
    ("urn:oid:2.16.840.1.113883.6.88", "RxNorm"),
    ("urn:oid:2.16.840.1.113883.6.90", "ICD10CM"),
    ("urn:oid:2.16.840.1.113883.6.103", "ICD9CM"),
    ("urn:oid:2.16.840.1.113883.6.4", "ICD10PCS"),
    ("urn:oid:2.16.840.1.113883.6.12", "CPT4"),
    ("urn:oid:2.16.840.1.113883.6.285", "HCPCS"),
    ("urn:oid:2.16.840.1.113883.6.69", "NDC"),
    ("urn:oid:2.16.840.1.113883.12.292", "CVX"),
)
"""FHIR's name of a code system -> vocabulary_id of CONCEPT."""

DOMAIN_TABLE: Rows = (
    ("Condition", "condition_occurrence"),
    ("Drug", "drug_exposure"),
    ("Procedure", "procedure_occurrence"),
    ("Device", "device_exposure"),
    ("Measurement", "measurement"),
    ("Observation", "observation"),
)
"""The table that a standard concept of a domain goes to, whatever resource its code came in."""

AMOUNT: Rows = (
    ("submitted", "charge"),
    ("eligible", "allowed"),
    ("benefit", "payer"),
    ("copay", "copay"),
    ("coinsurance", "coinsurance"),
    ("deductible", "deductible"),
    ("paidbypatient", "patient"),
    ("https://bluebutton.cms.gov/resources/variables/line_sbmtd_chrg_amt", "charge"),
    ("https://bluebutton.cms.gov/resources/variables/line_alowd_chrg_amt", "allowed"),
    ("https://bluebutton.cms.gov/resources/variables/line_nch_pmt_amt", "payer"),
    ("https://bluebutton.cms.gov/resources/variables/line_coinsrnc_amt", "coinsurance"),
    ("https://bluebutton.cms.gov/resources/variables/line_bene_ptb_ddctbl_amt", "deductible"),
)
"""Category of an adjudication -> what is added up to a column of cost: R4's codes, CARIN's, and those of Blue Button."""

_CODED = ("gender", "race", "ethnicity", "operator", "currency")


def relations() -> Iterator[str]:
    """Statements that make a small table of each of these, for the SQL of etl/ to join.

    >>> next(relations())
    "create temp table gender as select * from (values ('male', 8507), ('female', 8532)) t(code, concept_id)"
    """
    for name in _CODED:
        yield _relation(name, "code, concept_id", tuple((each.code, each.concept_id) for each in _of(name)))
    stays = tuple((each.code, each.concept_id, each.code in STAYS) for each in _of("visit"))
    yield _relation("visit_class", "code, concept_id, stays", stays)
    yield _relation("vocabulary_of", "system, vocabulary_id", VOCABULARY_OF)
    yield _relation("domain_table", "domain, target", DOMAIN_TABLE)
    yield _relation("amount", "code, means", AMOUNT)


def settle(duck: duckdb.DuckDBPyConnection) -> None:
    """Let the vocabulary of `cdm` speak: what it maps elsewhere goes there, and all currencies that it knows are known.

    Concepts change: what is standard in one release (a telehealth visit) leads to another concept in the next.
    """
    for name in (*_CODED, "visit_class"):
        duck.execute(
            f"update {name} set concept_id = m.target from (select r.concept_id_1 as source, min(r.concept_id_2) as target"
            " from cdm.concept_relationship r join cdm.concept t on t.concept_id = r.concept_id_2"
            " where r.relationship_id = 'Maps to' and r.invalid_reason is null and t.standard_concept = 'S'"
            f" group by 1) m where m.source = {name}.concept_id"
        )
    duck.execute(
        "insert into currency select c.concept_code, c.concept_id from cdm.concept c where c.vocabulary_id = 'Currency'"
        " and c.invalid_reason is null and c.concept_code not in (select code from currency)"
    )


def unknown(duck: duckdb.DuckDBPyConnection) -> list[tuple[Builtin, str]]:
    """The concepts of ours that the vocabulary of `cdm` does not know as we do, each with what differs.

    Where no vocabulary is loaded there is nothing to ask, and the list is empty.
    """
    ids = ", ".join(str(number) for number in sorted({each.concept_id for each in builtins()}))
    if not duck.execute("select 1 from cdm.concept limit 1").fetchall():
        return []
    sql = (
        "select concept_id, domain_id, standard_concept = 'S' and invalid_reason is null, exists (select 1 from"
        " cdm.concept_relationship r where r.concept_id_1 = c.concept_id and r.relationship_id = 'Maps to'"
        f" and r.invalid_reason is null) from cdm.concept c where concept_id in ({ids})"
    )
    known = {row[0]: row[1:] for row in duck.execute(sql).fetchall()}
    told = {each.concept_id: (each, _differs(each, known.get(each.concept_id))) for each in builtins()}
    return [(each, what) for each, what in told.values() if what]


def _differs(ours: Builtin, theirs: tuple[str, bool | None, bool] | None) -> str:
    if theirs is None:
        return "is not in it"
    domain, is_standard, leads_on = theirs
    if domain != ours.domain:
        return f"is of the domain {domain}, not {ours.domain}"
    return "" if is_standard or leads_on else "is no longer standard, and leads nowhere"


def _of(use: str) -> Iterator[Builtin]:
    return (each for each in builtins() if each.use == use)


def _relation(name: str, columns: str, rows: Rows) -> str:
    values = ", ".join(f"({', '.join(_literal(value) for value in row)})" for row in rows)
    return f"create temp table {name} as select * from (values {values}) t({columns})"


def _literal(value: object) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value)
