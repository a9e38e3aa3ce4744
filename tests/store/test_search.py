from __future__ import annotations

from datetime import UTC, datetime

from careloom.store.actor import STATION
from careloom.store.commit import Origin, Write, commit
from careloom.store.database import Database
from careloom.store.read import Reader

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
ORIGIN = Origin(now=NOW, actor_id="ehr", agent="hl7v2/1", event_id=7)
LOINC = "http://loinc.org"


def observation(id_: str, **more: object) -> dict[str, object]:
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "8867-4"}]},
        "subject": {"reference": "Patient/p"},
        "effectiveDateTime": f"2026-01-{int(id_):02}T08:00:00Z",
        **more,
    }


def test_first(database: Database) -> None:
    with database.connection() as connection:
        two = {"coding": [{"system": LOINC, "code": "x"}, {"system": LOINC, "code": "8867-4"}]}
        rows = [observation(str(n), **({"code": two} if n % 3 == 0 else {})) for n in range(1, 10)]
        commit(connection, [Write(row) for row in rows], ORIGIN)
        commit(
            connection,
            [Write({"resourceType": "Patient", "id": "p", "name": [{"family": "Ångström"}]})],
            ORIGIN,
        )
        reader = Reader(connection, STATION)

        def ids(*pairs: tuple[str, str], **more: str) -> list[str]:
            return [found["id"] for found in reader.find("Observation", *pairs, **more)]

        assert ids() == [str(n) for n in range(9, 0, -1)]
        assert ids(("code", f"{LOINC}|8867-4"), sort="date") == [str(n) for n in range(1, 10)]
        assert ids(("code", f"{LOINC}|x"), ("patient", "p")) == ["9", "6", "3"]
        assert ids(("date", "ge2026-01-05"), ("status", "final"), sort="date") == ["5", "6", "7", "8", "9"]
        assert ids(("subject:Patient.name", "angs"), ("date", "2026-01-05")) == ["5"]
        assert ids(("subject", "Patient/q")) == []
        found = reader.find("Patient", ("_has:Observation:patient:code", "x"))
        assert [one["id"] for one in found] == ["p"]
