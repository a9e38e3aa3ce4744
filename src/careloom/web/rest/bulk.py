"""web.rest.bulk: how far an export or import is, what came of it, its files, and its end.

Room: web. Standard: https://hl7.org/fhir/uv/bulkdata/STU2/export.html#bulk-data-status-request
"""

from __future__ import annotations

import re
from typing import Any

from starlette.responses import FileResponse, Response

from careloom.fhir.outcome import Issue, OutcomeError, operation_outcome
from careloom.fhir.resource import dumps
from careloom.flow import bulk_export, bulk_import
from careloom.flow.bulk_expiry import is_expired, kept_until
from careloom.store import jobs
from careloom.store.jobs import Job
from careloom.web.call import Call
from careloom.web.rest.answer import base_of, done, fhir, http_date

NDJSON = "application/fhir+ndjson"
RETRY_S = 1

_NAME = re.compile(r"([A-Za-z]+)\.ndjson")


def accepted(call: Call, job_id: str) -> Response:
    """The answer to a kick-off."""
    return fhir(done("Accepted."), 202, {"Content-Location": f"{base_of(call)}/bulk/{job_id}"})


def status(call: Call) -> Response:
    """202 while it works, with its progress; then 200 with the manifest; or why it failed."""
    job = _job(call)
    if job.is_open:
        share = f"{job.done} of {job.total}" if job.total is not None else job.status
        return Response(None, 202, {"X-Progress": share, "Retry-After": str(RETRY_S)})
    if job.status == "failed":
        return fhir(operation_outcome(job.issues), 500)
    manifest = _export(call, job) if job.kind == "export" else _import(call, job)
    headers = {"Expires": http_date(kept_until(call.site.settings, job) or call.now)}
    return Response(dumps(manifest), 200, headers, "application/json")


def end(call: Call) -> Response:
    """Stop it if it works still, and remove its files."""
    job = _job(call)
    with call.site.database.connection() as connection:
        jobs.cancel(connection, job.id, call.now)
    bulk_export.remove(call.site.settings, job.id)
    return fhir(done("Removed."), 202)


def file(call: Call) -> Response:
    """One file of a finished job."""
    job = _job(call)
    match = _NAME.fullmatch(call.parts["name"])
    if job.status != "done" or match is None:
        raise OutcomeError(Issue("not-found", "There is no such file."))
    if job.kind == "import" and match[1] == "errors":
        lines = [dumps(operation_outcome([issue])) for issue in job.issues]
        return Response(b"".join(line + b"\n" for line in lines), media_type=NDJSON)
    if job.kind != "export" or match[1] not in bulk_export.state_of(job).files:
        raise OutcomeError(Issue("not-found", "There is no such file."))
    _refuse_gone(call, job)
    path = bulk_export.folder_of(call.site.settings, job.id) / f"{match[1]}.ndjson"
    if not path.exists():
        raise OutcomeError(Issue("not-found", "The file was removed: export again."))
    call.seen("operation", f"$export {match[1]}")
    return FileResponse(path, media_type=NDJSON)


def _refuse_gone(call: Call, job: Job) -> None:
    """Files stay as they were made; whoever sees less today than then exports again."""
    then = job.request.get("visible")
    if call.who.patients is not None and (then is None or not call.who.patients.issuperset(then)):
        text = "The export holds records that you may not see any more: export again."
        raise OutcomeError(Issue("forbidden", text))


def _job(call: Call) -> Job:
    with call.site.database.connection() as connection:
        job = jobs.job(connection, call.parts["job"])
    if job is None or job.status == "cancelled" or job.owner != call.who.id:
        raise OutcomeError(Issue("not-found", "There is no such job."))
    if is_expired(call.site.settings, job, call.now):
        raise OutcomeError(Issue("not-found", "The job ended so long ago that nothing is kept of it."))
    return job


def _export(call: Call, job: Job) -> dict[str, Any]:
    address = f"{base_of(call)}/bulk/{job.id}"
    files = bulk_export.state_of(job).files

    def told(name: str, rtype: str) -> dict[str, Any]:
        return {"type": rtype, "url": f"{address}/{name}.ndjson", "count": files[name][1]}

    deleted = bulk_export.DELETED
    return {
        "transactionTime": job.request["time"],
        "request": job.request["url"],
        "requiresAccessToken": True,
        "output": [told(name, name) for name in sorted(files) if name != deleted],
        "deleted": [told(deleted, "Bundle")] if deleted in files else [],
        "error": [],
    }


def _import(call: Call, job: Job) -> dict[str, Any]:
    state = bulk_import.state_of(job)
    errors = {
        "type": "OperationOutcome",
        "url": f"{base_of(call)}/bulk/{job.id}/errors.ndjson",
        "count": state.refused,
    }
    return {
        "transactionTime": job.created.isoformat(timespec="milliseconds"),
        "request": job.request["url"],
        "requiresAccessToken": True,
        "output": [{"type": "Resource", "count": state.changed}],
        "error": [errors] if state.refused else [],
    }
