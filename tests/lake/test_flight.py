"""The lake over Arrow Flight SQL, asked by clients that others wrote: ADBC's driver, and pyarrow's own."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import flight
from tests.lake.conftest import observation, patient
from tests.waiting import WAIT_S

from careloom.fhir.outcome import OutcomeError
from careloom.flow.steps import files
from careloom.flow.steps.work import Work
from careloom.lake.build import writing
from careloom.lake.flight import handle, message
from careloom.lake.flight.server import LakeServer
from careloom.lake.lake import Lake
from careloom.lake.omop.build import FILE, build
from careloom.lake.sandbox import Limits
from careloom.settings import Settings
from careloom.store.accounts import create_account, create_token
from careloom.store.commit import Origin, Write, commit
from careloom.store.confinement import confine
from careloom.store.database import Database

dbapi = pytest.importorskip("adbc_driver_flightsql.dbapi")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PASSWORD = "a long password"


class Endpoint:
    """A running server, with a lake of twelve patients and a token of each role."""

    def __init__(self, database: Database, root: Path) -> None:
        self.database = database
        self.root = root
        with database.connection() as connection:
            resources = [patient(f"p{n}", f"Secret{n}") for n in range(12)]
            resources += [observation(f"o{n}", n, f"p{n}") for n in range(12)]
            hidden = {
                "security": [
                    {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
                ]
            }
            resources[11]["meta"] = hidden
            commit(connection, [Write(one) for one in resources], Origin(NOW, "ehr"))
            create_account(connection, "ada", PASSWORD, ["physician"])
            create_account(connection, "nils", PASSWORD, ["nurse"])
            confine(connection, "account", "ada", ["Patient/p1", "Patient/p2"], "test", NOW)
            self.token = create_token(connection, "bi", ["integration"])
        with writing(database, root) as writer:
            while writer.step():
                pass
        self.server = LakeServer(database, root, "127.0.0.1", 0, lambda: datetime.now(UTC))
        self.thread = threading.Thread(target=self.server.serve, daemon=True)
        self.thread.start()

    @property
    def uri(self) -> str:
        return f"grpc://127.0.0.1:{self.server.port}"

    def connect(self, name: str = "", password: str = PASSWORD) -> dbapi.Connection:
        """As an account, or with the token of a program."""
        options = {"username": name, "password": password} if name else {
            "adbc.flight.sql.authorization_header": f"Bearer {self.token}"
        }  # fmt: skip
        return dbapi.connect(self.uri, db_kwargs=options, autocommit=True)

    def ask(self, sql: str, name: str = "") -> list[tuple[object, ...]]:
        with self.connect(name) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    def names(self, sql: str) -> list[str]:
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return [column[0] for column in cursor.description or ()]


@pytest.fixture(scope="module")
def endpoint(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    found = Endpoint(module_database, tmp_path_factory.mktemp("lake"))
    yield found
    found.server.shutdown()


def test_a_program_asks_by_its_token_and_gets_typed_rows(endpoint: Endpoint) -> None:
    sql = 'select id, valueQuantity.value as value from "Observation" order by valueQuantity.value limit 2'
    with endpoint.connect() as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        table = cursor.fetch_arrow_table()
    assert table.to_pydict() == {"id": ["o0", "o1"], "value": [0.0, 1.0]}
    assert str(table.schema.field("value").type) == "double"


def test_an_account_signs_in_by_password_and_sees_its_own_rows_only(endpoint: Endpoint) -> None:
    assert endpoint.ask('select id from "Patient" order by id', "ada") == [("p1",), ("p2",)]
    assert endpoint.ask('select count(*), sum(valueQuantity.value) from "Observation"', "ada") == [(2, 3.0)]
    # One of twelve is labelled restricted, which integration does not see.
    assert endpoint.ask("select count(*) from Patient") == [(11,)]


@pytest.mark.parametrize(
    ("name", "password", "said"),
    [("ada", "wrong", "Name or password is wrong"), ("nobody", PASSWORD, "Name or password is wrong")],
)
def test_who_is_nobody_does_not_come_in(endpoint: Endpoint, name: str, password: str, said: str) -> None:
    with (
        pytest.raises(dbapi.Error, match=said),
        endpoint.connect(name, password) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("select 1")


def test_without_a_token_nothing_is_answered(endpoint: Endpoint) -> None:
    client = flight.connect(endpoint.uri)
    descriptor = flight.FlightDescriptor.for_command(b"select 1")
    for attempt in (
        lambda: client.get_flight_info(descriptor),
        lambda: client.do_get(flight.Ticket(b"select 1")).read_all(),
        lambda: list(client.list_actions()),
        lambda: list(client.do_action(flight.Action("CreatePreparedStatement", b""))),
        lambda: list(client.list_flights()),
    ):
        with pytest.raises(flight.FlightUnauthenticatedError, match="careloom token create"):
            attempt()
    forged = flight.FlightCallOptions(headers=[(b"authorization", b"Bearer clm_forged")])
    with pytest.raises(flight.FlightUnauthenticatedError):
        client.get_flight_info(descriptor, forged)


def test_a_role_that_may_not_ask_in_sql_is_refused_everywhere(endpoint: Endpoint) -> None:
    with endpoint.connect("nils") as connection:
        with pytest.raises(dbapi.Error, match="may not ask in SQL"), connection.cursor() as cursor:
            cursor.execute("select 1")
        with pytest.raises(dbapi.Error, match="may not ask in SQL"):
            connection.adbc_get_objects(depth="tables").read_all()


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("select nothing from Patient", "nothing"),
        ("select * from Patinet", "Patinet"),
        ("drop table Patient", "Only one statement that reads"),
        ("select 1; select 2", "Only one statement"),
        ("select * from read_csv('/etc/passwd')", "read_csv"),
        ("select cast(name[1].family as integer) from Patient", "cannot be cast"),
    ],
)
def test_what_cannot_be_answered_says_why_without_a_value(endpoint: Endpoint, sql: str, said: str) -> None:
    with pytest.raises(dbapi.Error, match=said) as told:
        endpoint.ask(sql)
    assert "Secret" not in str(told.value)
    assert "Traceback" not in str(told.value)


def test_what_the_lake_has_is_listed_for_tools(endpoint: Endpoint) -> None:
    with endpoint.connect() as connection:
        assert connection.adbc_get_info()["vendor_name"] == "careloom"
        assert connection.adbc_get_table_types() == ["TABLE"]
        schema = connection.adbc_get_table_schema("Patient")
        patients = connection.adbc_get_objects(depth="all", db_schema_filter="main", table_name_filter="Pat%")
        (catalog,) = patients.read_all().to_pylist()
        (tables,) = [one["db_schema_tables"] for one in catalog["catalog_db_schemas"]]
        marts = connection.adbc_get_objects(depth="all", db_schema_filter="marts").read_all().to_pylist()
    (persons,) = [
        table
        for one in marts
        for schemas in one["catalog_db_schemas"]
        for table in schemas["db_schema_tables"]
        if table["table_name"] == "persons"
    ]
    told = [column["column_name"] for column in persons["table_columns"]]
    assert endpoint.names("select * from marts.persons") == told
    assert {"id", "birthDate", "name"} <= set(schema.names)
    assert [table["table_name"] for table in tables] == ["Patient"]
    assert "birthDate" in {column["column_name"] for column in tables[0]["table_columns"]}
    asked = endpoint.ask('select * from "Patient" limit 1')
    assert len(asked[0]) == len(schema.names)


def test_a_prepared_statement_is_answered(endpoint: Endpoint) -> None:
    with endpoint.connect() as connection, connection.cursor() as cursor:
        cursor.adbc_prepare("select count(*) as n from Observation")
        cursor.execute("select count(*) as n from Observation")
        assert cursor.fetchall() == [(12,)]


def test_columns_may_be_called_the_same(endpoint: Endpoint) -> None:
    sql = "select p.id, o.id, p.id from Patient p join Observation o on o.subject.reference = 'Patient/' || p.id"
    assert endpoint.names(sql) == ["id", "id", "id"]
    assert endpoint.ask(f"{sql} order by 1 limit 1") == [("p0", "o0", "p0")]


NAMED = pa.record_batch({"a": ["x'; drop table Patient"], "b": pa.array([None], pa.utf8())})


@pytest.mark.parametrize(
    ("sql", "values", "wanted"),
    [
        ("select id from Patient where id = ? or id = ? order by id", ("p3", "p1"), [("p1",), ("p3",)]),
        ("select id from Patient where id = $2 and id > $1", ("p2", "p3"), [("p3",)]),
        ("select $b as b, $a as a", NAMED, [(None, "x'; drop table Patient")]),
        ("select count(*) from Observation where valueQuantity.value < ?", (3,), [(3,)]),
        ("select count(*) from Observation where valueQuantity.value between ? and ?", (2.0, 3.5), [(2,)]),
        ("select ?::date + 1", (date(2024, 2, 28),), [(date(2024, 2, 29),)]),
        ("select ? is null, typeof(?), ? and true", (None, datetime(2024, 1, 2, 3, tzinfo=UTC), True), [(True, "TIMESTAMP WITH TIME ZONE", True)]),
        ("select count(*) from range(?)", (7,), [(7,)]),
        ("select id from Patient where list_contains(?::varchar[], id) order by id", (["p2", "p4"],), [("p2",), ("p4",)]),
    ],
)  # fmt: skip
def test_values_are_bound_and_never_are_sql(endpoint: Endpoint, sql: str, values: Any, wanted: Any) -> None:
    with endpoint.connect() as connection, connection.cursor() as cursor:
        cursor.execute(sql, values)
        assert cursor.fetchall() == wanted


def test_a_prepared_statement_is_asked_again_with_other_values(endpoint: Endpoint) -> None:
    sql = "select count(*) from Observation where valueQuantity.value < ?::integer"
    with endpoint.connect("ada") as connection, connection.cursor() as cursor:
        schema = cursor.adbc_prepare(sql)
        assert [str(one.type) for one in schema] == ["int32"]
        found = []
        for most in (1, 2, 3, 10):
            cursor.execute(sql, (most,))
            found += cursor.fetchall()
    # Ada sees two patients, whoever asks with which value.
    assert found == [(0,), (1,), (2,), (2,)]


def test_a_client_of_now_carries_its_values_itself(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handle, "MOST", 0)
    with endpoint.connect() as connection, connection.cursor() as cursor:
        assert cursor.execute("select ? as v", ("x",)).fetchall() == [("x",)]


def test_a_client_that_goes_on_with_the_old_handle_has_its_own_values(endpoint: Endpoint) -> None:
    client = flight.connect(endpoint.uri)
    options = flight.FlightCallOptions(headers=[(b"authorization", f"Bearer {endpoint.token}".encode())])

    def prepared(value: str) -> bytes:
        body = message.closed("ActionCreatePreparedStatementRequest", {1: b"select ? as v"})
        [result] = client.do_action(flight.Action("CreatePreparedStatement", body), options)
        _, told = message.opened(result.body.to_pybytes()) or ("", {})
        number = bytes(told[1][0])  # pyright: ignore[reportArgumentType]
        command = message.closed("CommandPreparedStatementQuery", {1: number})
        row = pa.table({"": [value]})
        writer, answer = client.do_put(flight.FlightDescriptor.for_command(command), row.schema, options)
        writer.write_table(row)
        writer.done_writing()
        answer.read()
        writer.close()
        return command

    commands = [prepared(value) for value in ("a", "b")]
    for command, wanted in zip(commands, ("a", "b"), strict=True):
        info = client.get_flight_info(flight.FlightDescriptor.for_command(command), options)
        found = client.do_get(info.endpoints[0].ticket, options).read_all()
        assert found.to_pydict() == {"v": [wanted]}
    # Somebody else who brings the handle brings no values with it.
    own = flight.FlightCallOptions(headers=[client.authenticate_basic_token("ada", PASSWORD)])
    with pytest.raises(flight.FlightServerError, match="needs 1 values, 0 are bound"):
        client.get_flight_info(flight.FlightDescriptor.for_command(commands[0]), own)


def test_values_that_do_not_fit_are_refused_in_words(endpoint: Endpoint) -> None:
    for sql, values, said in (
        ("select ?, ?", (1,), "needs 2 values, 1 are bound"),
        ("select cast(? as integer)", ("Secret7",), "cannot be cast"),
        ("select id from Patient where nothing = ?", (1,), "nothing"),
    ):
        with (
            endpoint.connect() as connection,
            connection.cursor() as cursor,
            pytest.raises(dbapi.Error, match=said) as told,
        ):
            cursor.execute(sql, values).fetchall()
        assert "Secret7" not in str(told.value)
    rows = pa.record_batch({"v": [1, 2]})
    with (
        endpoint.connect() as connection,
        connection.cursor() as cursor,
        pytest.raises(dbapi.Error, match="One row of values"),
    ):
        cursor.execute("select ?", rows)


def test_nothing_can_be_put_but_values(endpoint: Endpoint) -> None:
    client = flight.connect(endpoint.uri)
    options = flight.FlightCallOptions(headers=[(b"authorization", f"Bearer {endpoint.token}".encode())])
    for command in (b"x", message.closed("CommandStatementUpdate", {1: b"delete from Patient"})):
        descriptor = flight.FlightDescriptor.for_command(command)
        writer, answer = client.do_put(descriptor, pa.schema([("a", pa.int64())]), options)
        writer.done_writing()
        with pytest.raises(flight.FlightServerError, match="only reads"):
            answer.read() or writer.close()


def test_a_client_of_plain_flight_asks_with_the_statement_as_command_or_path(endpoint: Endpoint) -> None:
    client = flight.connect(endpoint.uri)
    pair = client.authenticate_basic_token("ada", PASSWORD)
    options = flight.FlightCallOptions(headers=[pair])
    for descriptor in (
        flight.FlightDescriptor.for_command(b"select id from Patient order by id"),
        flight.FlightDescriptor.for_path("select id from Patient order by id"),
    ):
        info = client.get_flight_info(descriptor, options)
        assert info.schema.names == ["id"]
        found = client.do_get(info.endpoints[0].ticket, options).read_all()
        assert found.to_pydict() == {"id": ["p1", "p2"]}


def test_a_ticket_of_another_gives_ones_own_rows(endpoint: Endpoint) -> None:
    client = flight.connect(endpoint.uri)
    program = flight.FlightCallOptions(headers=[(b"authorization", f"Bearer {endpoint.token}".encode())])
    info = client.get_flight_info(flight.FlightDescriptor.for_command(b"select id from Patient"), program)
    own = flight.FlightCallOptions(headers=[client.authenticate_basic_token("ada", PASSWORD)])
    assert client.do_get(info.endpoints[0].ticket, own).read_all().num_rows == 2


def test_every_statement_leaves_a_line_in_the_trail_and_is_not_in_it(endpoint: Endpoint) -> None:
    before = _lines(endpoint)
    endpoint.ask("select 'Secret7' as word", "ada")
    with pytest.raises(dbapi.Error):
        endpoint.ask("select * from Patient where id = 1 / 0 and nothing = 'Secret7'")
    after = _lines(endpoint)[len(before) :]
    assert ("ada", "sql") in {line[:2] for line in after}
    assert "Secret7" not in str(after)


def _lines(endpoint: Endpoint) -> list[tuple[str, str]]:
    with endpoint.database.connection() as connection:
        return connection.execute(
            "select actor, what, address from audit where what = 'sql' order by id"
        ).fetchall()


def test_an_answer_that_is_too_long_is_an_error_and_not_cut_silently(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint.server, "limits", Limits(rows=5))
    assert len(endpoint.ask("select * from range(5)")) == 5
    with pytest.raises(dbapi.Error, match="narrow it"):
        endpoint.ask("select * from range(6)")


def test_it_speaks_tls_with_a_certificate(endpoint: Endpoint, tmp_path: Path) -> None:
    pem, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2",
            "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(pem)]  # fmt: skip
    subprocess.run(made, check=True, capture_output=True)
    both = pem.read_text() + key.read_text()
    with LakeServer(
        endpoint.database, endpoint.root, "127.0.0.1", 0, lambda: datetime.now(UTC), both
    ) as server:
        options = {
            "adbc.flight.sql.authorization_header": f"Bearer {endpoint.token}",
            "adbc.flight.sql.client_option.tls_root_certs": pem.read_text(),
        }
        uri = f"grpc+tls://localhost:{server.port}"
        with dbapi.connect(uri, db_kwargs=options, autocommit=True) as link, link.cursor() as cursor:
            cursor.execute("select count(*) from Observation")
            assert cursor.fetchone() == (12,)
    with pytest.raises(OutcomeError, match="PEM file"):
        LakeServer(endpoint.database, endpoint.root, "127.0.0.1", 0, lambda: datetime.now(UTC), "nothing")


@pytest.mark.parametrize("body", [b"", b"\x0a", b"\x0a\xff", b"\xff" * 12, b"\x0a\x02ab", bytes(range(64))])
def test_bytes_that_are_no_message_are_none(body: bytes) -> None:
    assert message.opened(body) is None


def _of_the_guide(name: str) -> Callable[..., object]:
    """A function that docs/howto/connect-bi.md shows, with the address of a test in it."""
    text = (Path(__file__).parents[2] / "docs/howto/connect-bi.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    scope: dict[str, Any] = {}
    exec(
        next(block for block in blocks if f"def {name}(" in block).replace("127.0.0.1:32010", PLACE[0]), scope
    )
    return scope[name]


PLACE = [""]


def test_the_ways_of_the_guide_lead_to_the_rows(endpoint: Endpoint) -> None:
    PLACE[0] = f"127.0.0.1:{endpoint.server.port}"
    assert ("p1", None) in _of_the_guide("patients")(endpoint.token)
    assert _of_the_guide("count")("ada", PASSWORD) == 2
    work = Work(
        database=endpoint.database,
        settings=Settings(lake_folder=str(endpoint.root)),
        now=NOW,
        names=["patient"],
    )
    assert files.views(work).parts == {"patient": 12}
    assert _of_the_guide("by_gender")(endpoint.root) == [(None, 12)]
    assert _of_the_guide("versions")(endpoint.root) == 12
    build(Lake(endpoint.root), endpoint.root / FILE)
    assert _of_the_guide("conditions")(endpoint.root) == 0
    assert endpoint.root.joinpath("_views").stat().st_mode & 0o077 == 0


def test_the_process_of_the_endpoint_answers_and_leaves_with_its_supervisor(
    endpoint: Endpoint, tmp_path: Path
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    told = {
        "CARELOOM_DATABASE_URL": endpoint.database.url, "CARELOOM_HOME": str(tmp_path),
        "CARELOOM_LAKE_FOLDER": str(endpoint.root), "CARELOOM_FLIGHT_PORT": str(port),
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "careloom", "worker", "flight"], stdin=subprocess.PIPE, env=os.environ | told
    )
    try:
        options = flight.FlightCallOptions(headers=[(b"authorization", f"Bearer {endpoint.token}".encode())])
        deadline = time.monotonic() + WAIT_S
        while True:
            try:
                with flight.connect(f"grpc://127.0.0.1:{port}") as client:
                    found = client.do_get(
                        flight.Ticket(b"select count(*) as n from Patient"), options
                    ).read_all()
                break
            except flight.FlightUnavailableError:
                assert process.poll() is None
                assert time.monotonic() < deadline, "the endpoint did not start"
                time.sleep(0.2)
        assert found.to_pydict() == {"n": [11]}
        assert process.stdin
        process.stdin.close()
        assert process.wait(WAIT_S) == 0
    finally:
        process.kill()
        process.wait()
