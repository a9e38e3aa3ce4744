"""Records of one person share a key; a key that too many share is dropped and counted; keys are never readable."""

from __future__ import annotations

from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st

from careloom.unify.identity.blocking import MOST_CANDIDATES, MOST_KEYS, Index, keyed, keys
from careloom.unify.identity.normalise import Birth, Name
from careloom.unify.identity.record import Record, record
from careloom.verify.registrations import town


def test_the_womans_records_meet(people: SimpleNamespace):
    index = Index(record(each) for each in (people.ehr, people.clinic, people.lab))
    assert index.candidates(record(people.ehr)) == {"clinic-1", "lab-1"}


@settings(max_examples=50)
@given(st.integers(0, 1_000_000))
def test_no_record_has_more_keys_than_allowed(seed: int):
    assert all(len(keys(record(each.patient))) <= MOST_KEYS for each in town(5, seed))


def test_day_and_month_and_the_names_may_be_exchanged():
    one = Record("1", names=(Name(("luke",), "fenwick"),), birth=Birth(1960, 3, 7))
    two = Record("2", names=(Name(("fenwick",), "luke"),), birth=Birth(1960, 7, 3))
    assert len(set(keys(one)) & set(keys(two))) >= 3


def test_a_skewed_key_is_dropped_and_counted():
    crowd = [
        Record(str(number), birth=Birth(1960, 3, 7), names=(Name(("ann",), ""),)) for number in range(60)
    ]
    index = Index(crowd)
    assert len(crowd) > MOST_CANDIDATES
    assert index.candidates(crowd[0]) == set()
    assert index.dropped["name-day"] == 1


def test_a_stored_key_shows_nothing_of_the_name():
    stored = keyed("names lee quackenbush", b"secret")
    assert len(stored) == 24
    assert set(stored) <= set("0123456789abcdef")
