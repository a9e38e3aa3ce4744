"""A few messages through the whole check: real processes, real sockets, kill -9 of all of them on the way."""

from __future__ import annotations

from collections import Counter

import pytest

from careloom.settings import Settings
from careloom.verify import mllp_once
from careloom.verify.figure import floors, judged


@pytest.mark.conformance
def test_messages_survive_kill_9_once_each_and_every_acknowledgement_is_true() -> None:
    figures = {figure.check.partition(".")[2]: figure for figure in mllp_once.check(Settings(), count=80)}
    assert figures["accepted"].passed == figures["resent"].passed == 80
    for name in ("lost", "twice", "untrue", "observations-missing"):
        assert judged(figures[name], floors(), 0).ok, name
        assert figures[name].value == 0


def test_an_answer_that_the_store_does_not_bear_out_is_counted() -> None:
    """The check can fail: an AA for what is not kept, and an AE for what is done, are each one lie."""
    kept = mllp_once._Kept(times=Counter({"1": 1, "3": 1}), done=frozenset({"1", "3"}), observations=0)
    sent = mllp_once._Sent(codes={"1": "AA", "2": "AA", "3": "AE", "4": "AE"})
    assert mllp_once._untrue(sent, kept) == 2
