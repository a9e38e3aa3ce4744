"""unify.identity.neighbourhood: all Patients that a change can concern: found by keys, rulings and present Persons.

Room: unify. May import: store (reads), fhir. Starting from some Patients, it is closed under links and under sharing
a Person, so that the partition inside it does not depend on anything outside.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import structlog

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import Resource
from careloom.store.read import Reader
from careloom.unify.identity.blocking import MOST_CANDIDATES, candidates, keyed, keys
from careloom.unify.identity.decide import Decision, contradicts, decide, is_held_for_two
from careloom.unify.identity.person import KEY
from careloom.unify.identity.record import Record, record
from careloom.unify.identity.steward import PATIENT, Ruling, in_force, ruling_of

log = structlog.get_logger()
MOST_FOUND = 500
"""A search of the store that finds as many is not taken to be whole."""
Pair = tuple[str, str]


def pair_of(one: str, two: str) -> Pair:
    """The two ids in one order."""
    return min(one, two), max(one, two)


def linked_by(person: Resource) -> list[str]:
    """Ids of the Patients that a Person links."""
    targets = (str(link["target"]["reference"]) for link in person.get("link", []))
    return [target.rpartition("/")[2] for target in targets if target.startswith("Patient/")]


def hashes(of: Record, salt: bytes) -> list[str]:
    """The stored keys of a record: its blocking keys, itself, and those that its source merged it with."""
    merges = [f"patient {each}" for each in sorted({of.id, *of.merged_with})]
    return [keyed(key, salt) for key in (*keys(of), *merges)]


class Neighbourhood:
    """What is known around some Patients; `members` are those among whom the partition is made anew."""

    def __init__(self, read: Reader, salt: bytes, seeds: Iterable[str]) -> None:
        self._read = read
        self._salt = salt
        self._records: dict[str, Record | None] = {}
        self._patients: dict[str, Resource | None] = {}
        self._decisions: dict[Pair, Decision] = {}
        self._rulings: dict[str, Ruling] = {}
        self._contradictions: dict[Pair, bool] = {}
        self.candidates: dict[str, set[str]] = {}
        """Patients with which a member was compared."""
        self.persons: dict[str, Resource] = {}
        """Persons that link a member at present, by id."""
        self._asked: set[str] = set()
        self._grow(set(seeds))
        self.rulings = in_force(self._rulings.values())
        self.members = sorted(each for each in self._asked if self.record(each))

    @property
    def concerned(self) -> list[str]:
        """The members, and those who are gone."""
        return sorted(self._asked)

    def record(self, patient: str) -> Record | None:
        """The record of a Patient, or None if there is no such Patient any more."""
        if patient not in self._records:
            found = self._read.resource("Patient", patient)
            self._patients[patient] = found
            self._records[patient] = None if found is None else record(found)
        return self._records[patient]

    def patient(self, patient: str) -> Resource:
        """The Patient of a member."""
        self.record(patient)
        return self._patients[patient] or {}

    def decision(self, pair: Pair) -> Decision:
        """What the rules say of two Patients that are there: members and candidates."""
        if pair not in self._decisions:
            self._decisions[pair] = decide(self._present(pair[0]), self._present(pair[1]))
        return self._decisions[pair]

    def conflict(self, one: str, two: str, rank: int) -> bool:
        """True if an edge of this rank may not bring the two into one person."""
        pair = pair_of(one, two)
        if pair in self.rulings:
            return self.rulings[pair].kind == "never_link"
        if rank <= 1:
            return False
        if is_held_for_two(self._present(one), self._present(two), self.decision(pair).explanation):
            return True
        # Who was said to be one speaks with one voice: what contradicts one of them may agree with another.
        return all(self._contradicts(pair_of(a, b)) for a in self._said_one(one) for b in self._said_one(two))

    def _contradicts(self, pair: Pair) -> bool:
        if pair not in self._contradictions:
            self._contradictions[pair] = contradicts(self._present(pair[0]), self._present(pair[1]))
        return self._contradictions[pair]

    def _said_one(self, patient: str) -> set[str]:
        """The Patient and all that a steward or its own source said to be the same."""
        found, pending = {patient}, {patient}
        while pending:
            each = pending.pop()
            ruled = {
                other
                for pair, ruling in self.rulings.items()
                if each in pair and ruling.kind == "must_link"
                for other in pair
            }
            merged = {
                other for other in self.members if {other, each} != {each} and self._is_merged(each, other)
            }
            pending |= (ruled | merged) - found
            found |= ruled | merged
        return {each for each in found if self.record(each) is not None}

    def _is_merged(self, one: str, two: str) -> bool:
        return two in self._present(one).merged_with or one in self._present(two).merged_with

    def _present(self, patient: str) -> Record:
        known = self.record(patient)
        if known is None:
            raise OutcomeError(Issue("not-found", "A patient that was to be compared is not there any more."))
        return known

    def _grow(self, pending: set[str]) -> None:
        while pending:
            self._asked |= pending
            self._find_candidates(sorted(pending))
            found = self._members_of_persons(sorted(pending))
            for each in pending:
                found |= {other for other in self.candidates[each] if self._may_link(pair_of(each, other))}
            pending = found - self._asked

    def _may_link(self, pair: Pair) -> bool:
        ruled = any(ruling.pair == pair for ruling in self._rulings.values())
        return ruled or self.decision(pair).grade == "link"

    def _members_of_persons(self, patients: list[str]) -> set[str]:
        references = ",".join(f"Patient/{each}" for each in patients)
        found: set[str] = set()
        for each in self._read.find("Person", ("link", references), count=MOST_FOUND):
            self.persons[str(each["id"])] = each
            found.update(linked_by(each))
        return found

    def _find_candidates(self, patients: list[str]) -> None:
        own = {each: hashes(known, self._salt) for each in patients if (known := self.record(each))}
        tokens = [f"{KEY}|{key}" for key in sorted({key for found in own.values() for key in found})]
        tokens += [f"{PATIENT}|{each}" for each in patients]
        holders: dict[str, list[str]] = defaultdict(list)
        for basic in self._found_by(tokens):
            if (ruling := ruling_of(basic)) is not None:
                self._rulings[ruling.id] = ruling
            else:
                self._hold(basic, holders)
        for each in patients:
            ruled = {
                other for ruling in self._rulings.values() if each in ruling.pair for other in ruling.pair
            }
            found = candidates(each, own.get(each, ()), holders) | (ruled - {each} if each in own else set())
            self.candidates[each] = {other for other in found if self.record(other) is not None}

    def _hold(self, basic: Resource, holders: dict[str, list[str]]) -> None:
        patient = str(basic.get("subject", {}).get("reference", "")).rpartition("/")[2]
        for identifier in basic.get("identifier", []):
            if identifier.get("system") == KEY:
                holders[str(identifier["value"])].append(patient)

    def _found_by(self, tokens: list[str]) -> list[Resource]:
        found = self._read.find("Basic", ("identifier", ",".join(tokens)), count=MOST_FOUND)
        if len(found) < MOST_FOUND:
            return found
        # Some key is shared by very many: ask for each alone, and leave out those that tell nothing.
        dropped = 0
        by_id: dict[str, Resource] = {}
        for token in tokens:
            of_key = self._read.find("Basic", ("identifier", token), count=MOST_FOUND)
            if token.startswith(KEY) and len(of_key) > MOST_CANDIDATES + 1:
                dropped += 1
            else:
                by_id |= {str(each["id"]): each for each in of_key}
        log.info("identity_keys_dropped", count=dropped)
        return list(by_id.values())
