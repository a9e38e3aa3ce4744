"""Headers, forms, cookies; and that nothing is open by default."""

from __future__ import annotations

from typing import get_args

import pytest

from careloom.fhir.outcome import STATUS, Issue, IssueCode, OutcomeError, status_of
from careloom.web.errors import TITLES
from careloom.web.road import PUBLIC, RIGHTS, Road, page
from careloom.web.routes import ROADS
from careloom.web.security import POLICY, form_token, refuse_foreign_form
from careloom.web.server import refuse_undeclared


def test_a_road_without_a_declared_right_does_not_start() -> None:
    with pytest.raises(OutcomeError, match=r"no right is declared for /new"):
        refuse_undeclared([*ROADS, page("/new", "", lambda call: call.go("/"))])


def test_every_road_declares_a_right_and_few_are_public() -> None:
    assert all(RIGHTS.issuperset(road.right.split("|")) for road in ROADS)
    public = {road.path for road in ROADS if road.right == PUBLIC}
    assert public <= {"/sign-in", "/sign-in/demo", "/alive", "/fhir/metadata", "/fhir/$versions"}


def test_no_two_roads_answer_the_same_request() -> None:
    def answered(road: Road) -> set[tuple[str, str]]:
        return {(method, road.path) for method in road.methods}

    seen: set[tuple[str, str]] = set()
    for road in ROADS:
        assert seen.isdisjoint(answered(road)), road.path
        seen |= answered(road)


def test_the_policy_allows_nothing_inline_and_nobody_else() -> None:
    assert "unsafe" not in POLICY
    assert "http" not in POLICY
    assert "default-src 'none'" in POLICY


def test_a_form_is_refused_unless_its_token_and_its_site_are_ours() -> None:
    own = {"sec-fetch-site": "same-origin"}
    refuse_foreign_form(own, {"csrf": form_token("secret")}, "secret")
    refuse_foreign_form({**own, "x-csrf": form_token("secret")}, {}, "secret")
    for headers, form, secret in (
        (own, {}, "secret"),
        (own, {"csrf": form_token("other")}, "secret"),
        (own, {"csrf": form_token("")}, ""),
        ({"sec-fetch-site": "cross-site"}, {"csrf": form_token("secret")}, "secret"),
        ({"sec-fetch-site": "same-site"}, {"csrf": form_token("secret")}, "secret"),
        ({"origin": "http://evil.example", "host": "localhost"}, {"csrf": form_token("secret")}, "secret"),
    ):
        with pytest.raises(OutcomeError):
            refuse_foreign_form(headers, form, secret)


def test_every_issue_code_has_a_status_and_every_status_a_title() -> None:
    assert set(get_args(IssueCode)) == set(STATUS)
    assert all(status in TITLES for status in STATUS.values())


def test_the_first_error_decides_the_status() -> None:
    hint = Issue("informational", "By the way.", severity="information")
    assert status_of([hint, Issue("not-found", "No such Patient."), Issue("value", "Bad.")]) == 404
    assert status_of([]) == 500
