"""store.hashes: 64-bit names of resources, codes and references, by which rows are found.

Room: store. Pure. Two different texts share a name with a chance of 2^-64 a pair: at a hundred million
resources one in 3,700 for the whole store; `res.key` is unique, so such a resource would be refused, not mixed up.
"""

from __future__ import annotations

from functools import cache, lru_cache
from hashlib import blake2b


@lru_cache(maxsize=1 << 16)
def hash64(text: str) -> int:
    """A signed 64-bit hash, the same in every process and version.

    >>> hash64("Patient/7") == hash64("Patient/7") != hash64("Patient/8")
    True
    """
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


@cache
def salt(parameter: int) -> int:
    """What a reference's hash is xor-ed with in `ix`: SQL can then make the entry of a row from its `key`."""
    return hash64(f"#{parameter}")


COMPARTMENT_SALT = hash64("#compartment")
"""Salt of `ix` entries that say to which further Patients a resource belongs."""


@lru_cache(maxsize=1 << 16)
def token_entries(
    parameter: int, system: str | None, code: str | None, *, is_plain: bool = False
) -> tuple[int, ...]:
    """Entries in `ix` for one coding: by code, by system and code, by system alone, or by code without a system.

    A plain parameter never has a system (code, boolean ...): by code is all there is.
    """
    if code is None:
        return (system_entry(parameter, system),) if system else ()
    if is_plain:
        return (code_entry(parameter, code),)
    if not system:
        return (code_entry(parameter, code), coding_entry(parameter, "", code))
    return (
        code_entry(parameter, code),
        coding_entry(parameter, system, code),
        system_entry(parameter, system),
    )


def code_entry(parameter: int, code: str) -> int:
    """The entry of a code in any system."""
    return hash64(f"{parameter}|{code}")


def coding_entry(parameter: int, system: str, code: str) -> int:
    """The entry of a code in one system; system "" is the code without a system."""
    return hash64(f"{parameter}|{system}|{code}")


def system_entry(parameter: int, system: str) -> int:
    """The entry of any code in a system."""
    return hash64(f"{parameter}|{system}|")


def presence_entry(parameter: int) -> int:
    """The entry of a parameter that R4 does not have: something was found for it."""
    return hash64(f"{parameter}?")


def uri_entry(parameter: int, uri: str) -> int:
    """The entry of a uri."""
    return hash64(f"{parameter}#{uri}")
