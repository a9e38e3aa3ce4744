"""store.deed: by which interaction a version was made, as the number in its row: what a history says of its request.

Room: store. Pure. Standard: https://hl7.org/fhir/R4/http.html#history and https://hl7.org/fhir/R4/bundle.html#history
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Method = Literal["POST", "PUT", "PATCH", "DELETE"]


class Deed(NamedTuple):
    """The method of HTTP, and the status that answered it."""

    method: Method
    status: int


CREATE = Deed("POST", 201)
UPDATE = Deed("PUT", 200)
UPDATE_AS_CREATE = Deed("PUT", 201)
"""Under an id that the client chose, or that had been deleted."""
PATCH = Deed("PATCH", 200)
DELETE = Deed("DELETE", 204)

_BY_NUMBER = {1: CREATE, 2: UPDATE, 3: UPDATE_AS_CREATE, 4: PATCH, 5: DELETE}
_NUMBER = {deed: number for number, deed in _BY_NUMBER.items()}


def number_of(method: Method, *, is_created: bool) -> int:
    """The number of what was done.

    >>> deed(number_of("PUT", is_created=True), version=1, is_deleted=False)
    Deed(method='PUT', status=201)
    """
    if method == "PUT" and is_created:
        return _NUMBER[UPDATE_AS_CREATE]
    return next(number for number, one in _BY_NUMBER.items() if one.method == method)


def deed(number: int, *, version: int, is_deleted: bool) -> Deed:
    """The deed of a number. A version of before deeds were kept has 0: it is told by what can be seen of it."""
    found = _BY_NUMBER.get(number)
    if found is not None:
        return found
    return DELETE if is_deleted else CREATE if version == 1 else UPDATE
