"""docs/howto/spark.md, as it stands there, on a lake with older versions, deletions and what is hard to compare."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.lake.conftest import Shore
from tests.lake.test_last_value import hba1c, ill

from careloom.lake import spark
from careloom.store.database import Database

PAGE = Path(__file__).parents[2] / "docs/howto/spark.md"


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    """The names that the Python blocks of the page define."""
    names: dict[str, Any] = {"__name__": "page"}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
        exec(block, names)
    return names


@pytest.fixture
def session() -> Iterator[Any]:
    if why := spark.absent():
        pytest.skip(why)
    found = spark.session()
    yield found
    found.stop()


def answer(session: Any, sql: str) -> list[tuple[Any, ...]]:
    rows = session.sql(sql).collect()
    return [(row.id, row.family, row.hba1c, row.unit, row.measured_at.isoformat()[:16]) for row in rows]


@pytest.mark.conformance
def test_the_page_gives_the_last_value_of_each_patient_with_diabetes(
    database: Database, tmp_path: Path, page: dict[str, Any], session: Any
) -> None:
    shore = Shore(database, tmp_path / "lake")
    for name in ("x", "alone", "well", "cleared"):
        shore.say({"resourceType": "Patient", "id": name, "name": [{"family": name.upper()}]})
    shore.say({"resourceType": "Patient", "id": "nameless", "gender": "other"}, ill("nameless", "E10.1"))
    shore.say(ill("x", "44054006"), ill("alone", "E11.65"), ill("cleared", "E11.9", "refuted"))
    shore.say(hba1c("x", 6.0, "2026-03-01T12:00:00Z"), hba1c("x", 7.1, "2026-03-01T09:00:00-05:00"))
    shore.say(hba1c("x", 5.0, "2026"), hba1c("x", 9.9, "2026-03-05", "entered-in-error"))
    shore.say(
        hba1c("alone", 8.0, "2026-02"), hba1c("well", 5.1, "2026-01-01"), hba1c("nameless", 9.0, "2026-01-01")
    )
    shore.build()
    # After the first files: a value that is corrected, one that is deleted.
    shore.say(hba1c("nameless", 9.0, "2026-01-01") | {"valueQuantity": {"value": 9.5, "unit": "%"}})
    shore.say(hba1c("alone", 9.9, "2026-04-01"))
    shore.delete("Observation", "alone-9.9")
    shore.build()
    expected = [
        ("alone", "ALONE", 8.0, "%", "2026-02-01T00:00"),
        ("nameless", None, 9.5, "%", "2026-01-01T00:00"),
        ("x", "X", 7.1, "%", "2026-03-01T14:00"),
    ]
    for rtype in ("Patient", "Observation", "Condition"):
        spark.current(session, shore.root, rtype).createOrReplaceTempView(rtype)
    assert answer(session, page["LAST_HBA1C"]) == expected
    # By the library deltalake, and by the statement of the page.
    every = page["versions"](session, str(shore.root), "Observation")
    every.createOrReplaceTempView("Observation")
    (sql,) = re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)
    by_sql = sorted(row.id for row in session.sql(sql).collect())
    assert by_sql == sorted(row.id for row in spark.newest(every).collect())
    assert "alone-9.9" not in by_sql
    assert every.count() > len(by_sql)
