"""web.rest.reading: read and vread.

Room: web. Standard: https://hl7.org/fhir/R4/http.html#read
"""

from __future__ import annotations

from base64 import b64decode
from urllib.parse import quote

from starlette.responses import Response

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.store.stored import Stored
from careloom.web.call import Call
from careloom.web.rest.answer import of_version, rtype_of
from careloom.web.rest.form import SECURITY_CONTEXT, is_fhir


def read(call: Call) -> Response:
    """The current version; 404 if it never was (or is not for this actor), 410 if it was deleted."""
    rtype, id_ = rtype_of(call), call.parts["id"]
    if id_.startswith("$"):
        raise OutcomeError(Issue("not-found", "There is no such operation here."))
    with call.glance() as reader:
        stored = there(reader.stored(rtype, id_))
    call.seen("read", f"{rtype}/{id_}", patient=f"{rtype}/{id_}" if rtype == "Patient" else "")
    return _native(call, stored) or of_version(call, stored)


def vread(call: Call) -> Response:
    """One version, current or older."""
    rtype, id_, version = rtype_of(call), call.parts["id"], call.parts["version"]
    if not (version.isascii() and version.isdecimal()) or len(version) > 9:  # noqa: PLR2004 fits any integer type
        raise OutcomeError(Issue("not-found", "There is no such version."))
    with call.glance() as reader:
        stored = there(reader.version(rtype, id_, int(version)))
    call.seen("vread", f"{rtype}/{id_}", patient=f"{rtype}/{id_}" if rtype == "Patient" else "")
    return _native(call, stored) or of_version(call, stored)


def there(stored: Stored | None) -> Stored:
    """The version. Raises OutcomeError: not-found if there is none, deleted if it is a deletion."""
    if stored is None:
        raise OutcomeError(Issue("not-found", "There is no such resource."))
    if stored.is_deleted:
        raise OutcomeError(
            Issue("deleted", "The resource was deleted; its history still holds its versions.")
        )
    return stored


def _native(call: Call, stored: Stored) -> Response | None:
    """The content of a Binary, to who asks for anything but FHIR (R4 binary, 2.39.5)."""
    if stored.rtype != "Binary" or is_fhir(call):
        return None
    binary = stored.resource()
    try:
        content = b64decode(binary.get("data", ""))
    except ValueError:
        return None
    whole = of_version(call, stored)
    if whole.status_code != 200:  # noqa: PLR2004 the client holds it already
        return whole
    headers = {name: whole.headers[name] for name in ("ETag", "Last-Modified")}
    # Never as what a browser would run: a stored page must not act under our address.
    headers["Content-Disposition"] = "attachment"
    context = binary.get("securityContext", {}).get("reference")
    if context:
        headers[SECURITY_CONTEXT] = quote(context, safe="/:#?=&@+,;%")
    return Response(content, headers=headers, media_type=binary["contentType"])
