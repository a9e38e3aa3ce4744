"""registry: the table of contents. Every mapper, station, timer and check, one line each.

A value is `module:attribute`; it is imported on first use. tests/test_registry.py resolves all.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

MAPPERS: dict[str, str] = {
    "hl7v2": "careloom.unify.hl7v2.convert:to_resources",
}
"""Event kind -> `to_resources(event, current, *, zone) -> Conversion`; `zone` is that of times without an offset."""

STATIONS: dict[str, str] = {
    "identity": "careloom.unify.identity.link:link",
    "news2": "careloom.analyze.scores.early_warning:score",
    "lace": "careloom.analyze.scores.discharge:score",
    "deterioration": "careloom.act.deterioration:alert",
}
"""Station -> `f(change, read) -> list[Resource]`; its module names the types it hears in TYPES, and in CODES which of them."""

TIMERS: dict[str, str] = {
    "escalation": "careloom.act.escalation:tick",
}
"""Timer -> `f(now, read, *, escalate_after_minutes) -> list[Resource]`; asked about once a second of the running clock."""

OPERATIONS: dict[str, str] = {
    "docref": "careloom.web.rest.operations.docref:docref",
    "everything": "careloom.web.rest.operations.everything:everything",
    "export": "careloom.web.rest.operations.export:export",
    "import": "careloom.web.rest.operations.import_ndjson:import_ndjson",
    "lastn": "careloom.web.rest.operations.lastn:lastn",
    "meta": "careloom.web.rest.operations.meta:meta",
    "meta-add": "careloom.web.rest.operations.meta_add:meta_add",
    "meta-delete": "careloom.web.rest.operations.meta_delete:meta_delete",
    "run": "careloom.web.rest.operations.run:run",
    "versions": "careloom.web.rest.operations.versions:versions",
    "reindex-status": "careloom.web.rest.operations.reindex_status:reindex_status",
    "validate": "careloom.web.rest.operations.validate:validate",
    "viewdefinition-run": "careloom.web.rest.operations.viewdefinition_run:viewdefinition_run",
}
"""Operation of FHIR REST -> `f(call) -> Response`; its module says in OPERATION where it may be called."""

JOBS: dict[str, str] = {
    "export": "careloom.flow.bulk_export:step",
    "import": "careloom.flow.bulk_import:step",
    "reindex": "careloom.flow.reindexing:step",
    "search-parameter": "careloom.flow.parameters:step",
}
"""Kind of job -> `f(connection, settings, job, now) -> Step`: one bounded step of work, in one transaction."""

STEPS: dict[str, str] = {
    "lake": "careloom.flow.steps.tables:step",
    "views": "careloom.flow.steps.files:views",
    "marts": "careloom.flow.steps.files:made_marts",
    "omop": "careloom.flow.steps.omop:step",
}
"""Step of the pipeline that is run -> `f(work) -> Made`; each after those that it is made of."""

CHECKS: dict[str, str] = {
    "bulk": "careloom.verify.bulk:check",
    "rest-checklist": "careloom.verify.rest_checklist:check",
    "fhirpath": "careloom.verify.fhirpath:check",
    "identity": "careloom.verify.identity:figures",
    "lake-asof": "careloom.verify.lake_asof:check",
    "lake-incremental": "careloom.verify.lake_incremental:check",
    "lake-lineage": "careloom.verify.lake_lineage:check",
    "load-resume": "careloom.verify.load_resume:check",
    "mllp-once": "careloom.verify.mllp_once:check",
    "r4-examples": "careloom.verify.r4_examples:check",
    "reindex": "careloom.verify.reindexing:check",
    "new-parameter": "careloom.verify.new_parameter:check",
    "rls": "careloom.verify.rls:check",
    "search-oracle": "careloom.verify.search_oracle:check",
    "omop": "careloom.verify.omop:check",
    "patch": "careloom.verify.patch:check",
    "snapshots": "careloom.verify.snapshots:check",
    "sql-on-fhir": "careloom.verify.sql_on_fhir:check",
    "sql-on-fhir-spark": "careloom.verify.sql_on_fhir:check_spark",
    "us-core-examples": "careloom.verify.us_core_examples:check",
    "registers": "careloom.verify.identity:register_figures",
    "v2-agreement": "careloom.verify.v2_agreement:check",
    "us-core": "careloom.verify.us_core:check",
    "v2-ledger": "careloom.verify.v2_ledger:check",
}
"""Check of `careloom verify` -> `f(settings) -> list[Figure]`."""


def load(target: str) -> Callable[..., Any]:
    """Import `module:attribute`."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)
