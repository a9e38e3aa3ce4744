"""unify.identity.blocking: the keys by which a record finds its candidates, at most sixteen.

Room: unify. May import: record, names. Two records are compared when they share a key; a key that too many share
tells nothing, is dropped, and counted.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from careloom.unify.identity.names import canonical
from careloom.unify.identity.normalise import Birth
from careloom.unify.identity.record import Record

MOST_KEYS = 16
MOST_CANDIDATES = 50
"""A key shared by more records than this is dropped."""


def keys(record: Record) -> list[str]:
    """Blocking keys in plain text, the most telling first; only their keyed hashes are ever stored.

    Given and family name play the same part in a key, so that exchanged names meet; so do day and month.
    """
    found = dict.fromkeys(_keys(record))
    return list(found)[:MOST_KEYS]


def _keys(record: Record) -> Iterator[str]:
    given = canonical(record.given) if len(record.given) > 1 else ""
    families = list(dict.fromkeys(name.family.replace(" ", "") for name in record.names if name.family))[:2]
    day = _day(record.birth)
    yield from (f"national {system} {value}" for system, value in sorted(record.national)[:2])
    yield from (f"issued {system} {value}" for system, value in sorted(record.issued)[:2])
    if day:
        yield from (f"name-day {name} {day}" for name in dict.fromkeys([given, *families]) if name)
    yield from (f"email {email}" for email in sorted(record.emails)[:1])
    yield from (f"phone {phone} {given[:1]}" for phone in sorted(record.phones)[:2])
    addresses = sorted(record.addresses, key=lambda address: (address.street, address.number))
    if given:
        yield from (f"names {' '.join(sorted((given, family)))}" for family in families)
    yield from (f"home {a.number} {a.street}" for a in addresses[:1] if a.street and a.number)
    if record.birth and record.birth.year:
        yield from (f"sounds {given[:3]} {family[:4]} {record.birth.year}" for family in families[:1])
    for place in [a.postal_code or a.city for a in addresses[:1] if a.postal_code or a.city]:
        if day:
            yield f"place-day {place} {day}"
        yield from (f"place-name {place} {name[:5]}" for name in (*families[:1], given) if name)

    initials = "".join(sorted((given[:1], *(family[:1] for family in families[:1]))))
    if day and given and families:
        # Slips of both names, exchanged or not; and slips of the year beside them.
        yield f"initials-day {initials} {day}"
        yield f"initials-date {initials} {families[0][:4]} {day[4:]}"
    if record.sex and day:
        yield from (f"number-day {a.number} {day}" for a in addresses[:1] if a.number)


def _day(birth: Birth | None) -> str:
    if birth is None or not birth.is_full:
        return ""
    low, high = sorted((birth.month, birth.day))
    return f"{birth.year}-{low:02d}-{high:02d}"


def keyed(text: str, secret: bytes) -> str:
    """The keyed hash under which a key is stored: 24 hex digits of HMAC-SHA-256.

    >>> keyed("names ann lee", b"salt") == keyed("names ann lee", b"pepper")
    False
    """
    return hmac.digest(secret, text.encode(), hashlib.sha256).hex()[:24]


class Index:
    """Candidates of many records in memory: for batches and measurements; the same rules as the station's."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._holders: dict[str, list[str]] = {}
        self._keys: dict[str, list[str]] = {}
        for record in records:
            self.add(record)

    def add(self, record: Record) -> None:
        """Put a record in."""
        self._keys[record.id] = keys(record)
        for key in self._keys[record.id]:
            self._holders.setdefault(key, []).append(record.id)

    def candidates(self, record: Record) -> set[str]:
        """Ids of the records that share a key with this one, itself not included."""
        found = candidates(record.id, keys(record), self._holders)
        return found | set(record.merged_with & self._keys.keys())

    @property
    def dropped(self) -> Counter[str]:
        """How many keys of each kind are shared by too many."""
        skewed = (key for key, holders in self._holders.items() if len(holders) > MOST_CANDIDATES)
        return Counter(key.split(" ", 1)[0] for key in skewed)


def candidates(own: str, own_keys: Iterable[str], holders: Mapping[str, list[str]]) -> set[str]:
    """Ids of those who share one of the keys, skewed keys left out."""
    found: set[str] = set()
    for key in own_keys:
        sharing = holders.get(key, ())
        if len(sharing) - (own in sharing) <= MOST_CANDIDATES:
            found.update(sharing)
    found.discard(own)
    return found
