"""verify.messages: seeded HL7 v2 messages for checks: ADT and ORU, each of which states something new.

Room: verify. Standard: HL7 v2.5.1 chapters 3 (ADT) and 7 (ORU).
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

_FAMILY = ("Abbas", "Brandt", "Costa", "Dahl", "Eriksen", "Farouk", "Garcia", "Huber", "Ivanova", "Jansen")
_GIVEN = ("Ada", "Ben", "Carla", "David", "Emma", "Farid", "Greta", "Hugo", "Ines", "Jonas")
_VITALS = (
    ("9279-1", "Respiratory rate", "/min", 10, 30),
    ("59408-5", "Oxygen saturation", "%", 88, 100),
    ("8480-6", "Systolic blood pressure", "mm[Hg]", 85, 180),
    ("8867-4", "Heart rate", "/min", 45, 135),
)
_START = datetime(2026, 1, 5, 6, tzinfo=UTC)


def messages(count: int, seed: int) -> list[bytes]:
    """`count` messages with control ids `<seed>-0` onwards: admissions, each followed by three sets of vital signs.

    >>> [message.split(b"|")[8] for message in messages(3, 1)]
    [b'ADT^A01^ADT_A01', b'ORU^R01^ORU_R01', b'ORU^R01^ORU_R01']
    """
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    return [_message(number, seed, chance) for number in range(count)]


def _message(number: int, seed: int, chance: random.Random) -> bytes:
    person = number // 4
    time = f"{_START + timedelta(minutes=number):%Y%m%d%H%M%S}+0000"
    is_admission = number % 4 == 0
    kind = "ADT^A01^ADT_A01" if is_admission else "ORU^R01^ORU_R01"
    names = random.Random(person)  # noqa: S311 - the same person has the same name in all messages
    name = f"{names.choice(_FAMILY)}^{names.choice(_GIVEN)}"
    born = f"{1930 + person % 90}{1 + person % 12:02}{1 + person % 28:02}"
    segments = [
        f"MSH|^~\\&|VERIFY|GHH|CARELOOM|GHH|{time}||{kind}|{seed}-{number}|P|2.5.1||||||UNICODE UTF-8",
        f"PID|1||P{seed}-{person}^^^VERIFY^MR||{name}||{born}|{'FM'[person % 2]}",
    ]
    if is_admission:
        segments.insert(1, f"EVN|A01|{time}")
        visit = {
            1: "1",
            2: "I",
            3: f"WARD^{1 + person % 40}^1",
            19: f"V{seed}-{number}^^^VERIFY^VN",
            44: time,
        }
        segments.append("|".join(["PV1", *(visit.get(field, "") for field in range(1, 45))]))
    else:
        segments.append(f"OBR|1||F{seed}-{number}^VERIFY|85353-1^Vital signs panel^LN|||{time}")
        segments += [
            f"OBX|{index}|NM|{code}^{text}^LN||{chance.randint(low, high)}|{unit}^{unit}^UCUM|||||F|||{time}"
            for index, (code, text, unit, low, high) in enumerate(_VITALS, 1)
        ]
    return "".join(f"{segment}\r" for segment in segments).encode()
