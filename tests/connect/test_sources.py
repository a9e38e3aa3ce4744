"""A load finds every item of files, folders and archives, with the same keys wherever the bytes lie."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from careloom.connect.content import Sizes, arrivals
from careloom.connect.mllp_frame import frame
from careloom.connect.sources import Item, items, plan
from careloom.fhir.outcome import OutcomeError

PATIENT = b'{\n  "resourceType": "Patient",\n  "id": "7"\n}\n'
BUNDLE = b'{"resourceType":"Bundle","type":"transaction","entry":[]}'
ADT = rb"MSH|^~\&|EHR|GHH|||2020||ADT^A01|1|P|2.5" + b"\rPID|1"
ORU = rb"MSH|^~\&|LAB||||2020||ORU^R01|2|P|2.5" + b"\rPID|1"
FILES = {
    "a/patient.json": PATIENT,
    "bundle.json": BUNDLE,
    "feed.hl7": ADT + b"\r" + ORU + b"\r",
    "x.txt": b"hello",
}


def _folder(root: Path) -> Path:
    for name, body in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(body)
    (root / ".hidden").write_bytes(b"x")
    return root


def _tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, body in FILES.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    return out.getvalue()


def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in FILES.items():
            archive.writestr(name, body)
    return out.getvalue()


def _long_window(raw: bytes) -> bytes:
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=27, enable_ldm=True)
    compressor = zstandard.ZstdCompressor(compression_params=parameters)
    # Without a known size the frame really asks for its whole window.
    stream = compressor.compressobj()
    return stream.compress(raw) + stream.flush()


PACKED = {
    "all.tar": _tar,
    "all.tar.gz": lambda: gzip.compress(_tar()),
    "all.tar.zst": lambda: _long_window(_tar()),
    "all.zip": _zip,
    "nested.tar.gz": lambda: gzip.compress(_one_in_tar("inner.zip", _zip())),
}


def _one_in_tar(name: str, body: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(body)
        tar.addfile(info, io.BytesIO(body))
    return out.getvalue()


def _read(*paths: Path, **sizes: int) -> list[Item]:
    return list(items(plan(paths), sizes=Sizes(**sizes)))


def _facts(came: list[Item]) -> list[tuple[str, str, bytes]]:
    return sorted(
        (item.arrival.kind, item.arrival.source, item.arrival.body) for item in came if item.arrival
    )


EXPECTED = sorted(
    [
        ("fhir", "files", PATIENT),
        ("fhir", "files", BUNDLE),
        ("hl7v2", "ehr.ghh", ADT),
        ("hl7v2", "lab", ORU),
    ]
)


def test_a_folder_gives_every_file_and_tells_which_it_cannot_read(tmp_path: Path):
    came = _read(_folder(tmp_path))
    assert _facts(came) == EXPECTED
    assert [(item.name, item.issue.code) for item in came if item.issue] == [("x.txt", "not-supported")]


@pytest.mark.parametrize("name", PACKED)
def test_an_archive_gives_the_same_arrivals_as_its_folder(tmp_path: Path, name: str):
    folder = _folder(tmp_path / "folder")
    packed = tmp_path / name
    packed.write_bytes(PACKED[name]())
    came = _read(packed)
    assert _facts(came) == EXPECTED
    assert {item.arrival.key for item in came if item.arrival} == {
        item.arrival.key for item in _read(folder) if item.arrival
    }
    assert came[-1].name.startswith(name.split(".", maxsplit=1)[0])


def test_single_compressed_files_are_read(tmp_path: Path):
    (tmp_path / "p.json.gz").write_bytes(gzip.compress(PATIENT[:20]) + gzip.compress(PATIENT[20:]))
    (tmp_path / "b.json.zst").write_bytes(zstandard.compress(BUNDLE[:9]) + zstandard.compress(BUNDLE[9:]))
    assert _facts(_read(tmp_path)) == sorted([("fhir", "files", PATIENT), ("fhir", "files", BUNDLE)])


def test_progress_counts_the_bytes_on_disk_and_reaches_the_total(tmp_path: Path):
    for name in ("all.tar.zst", "all.tar"):
        (tmp_path / name).write_bytes(PACKED[name]())
    planned = plan([tmp_path])
    read = [item.read_bytes for item in items(planned)]
    assert read == sorted(read)
    assert 0.9 * planned.total_bytes <= read[-1] <= planned.total_bytes


@pytest.mark.parametrize("name", ["all.tar", "all.tar.gz", "all.tar.zst"])
def test_an_archive_that_is_broken_off_gives_what_came_before_and_says_so(tmp_path: Path, name: str):
    whole = PACKED[name]()
    (tmp_path / name).write_bytes(whole[:600] if name == "all.tar" else whole[:-20])
    last = _read(tmp_path / name)[-1]
    assert last.issue
    assert last.issue.code == "incomplete"


def test_a_file_that_is_broken_off_is_not_taken_for_whole(tmp_path: Path):
    lines = b"".join(b'{"resourceType":"Patient","id":"%d"}\n' % number for number in range(5000))
    (tmp_path / "p.ndjson.zst").write_bytes(zstandard.compress(lines)[:-1])
    last = _read(tmp_path)[-1]
    assert last.issue
    assert last.issue.code == "incomplete"


def test_a_zip_that_is_none_is_told(tmp_path: Path):
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04" + b"x" * 100)
    (tmp_path / "y.json").write_bytes(PATIENT)
    came = _read(tmp_path)
    assert [(item.name, bool(item.arrival)) for item in came] == [("x.zip", False), ("y.json", True)]


def test_an_item_beyond_the_limit_is_refused_and_the_rest_is_read(tmp_path: Path):
    (tmp_path / "all.tar").write_bytes(_tar())
    came = _read(tmp_path, item_bytes=50)
    assert {item.issue.code for item in came if item.issue} == {"too-long", "not-supported"}
    assert _facts(came) == [fact for fact in EXPECTED if len(fact[2]) <= 50]


def test_a_path_that_is_absent_is_one_clear_sentence(tmp_path: Path):
    with pytest.raises(OutcomeError, match="no file or folder"):
        plan([tmp_path / "absent"])


def _arrivals(raw: bytes, **sizes: int):
    return list(arrivals(io.BufferedReader(io.BytesIO(raw)), sizes=Sizes(**sizes)))  # pyright: ignore[reportArgumentType]


def test_ndjson_comes_in_chunks_of_lines_and_of_bytes():
    lines = [b'{"resourceType":"Patient","id":"%d"}\n' % number for number in range(10)]
    assert [len(arrival.body.splitlines()) for arrival in _arrivals(b"".join(lines), chunk_lines=4)] == [
        4,
        4,
        2,
    ]
    assert [len(arrival.body.splitlines()) for arrival in _arrivals(b"".join(lines), chunk_bytes=100)] == [
        3,
        3,
        3,
        1,
    ]
    assert b"".join(arrival.body for arrival in _arrivals(b"".join(lines), chunk_lines=3)) == b"".join(lines)
    assert {arrival.kind for arrival in _arrivals(b"\n\n".join(lines))} == {"ndjson"}


def test_json_on_one_line_or_many_is_one_arrival():
    for raw in (BUNDLE, BUNDLE + b"\n\n", PATIENT, PATIENT.replace(b"\n", b"\r\n"), b'{"a":{}\n,"b":{}}\n'):
        assert [(arrival.kind, arrival.body) for arrival in _arrivals(raw)] == [
            ("fhir", raw.removesuffix(b"\n") if raw == BUNDLE + b"\n\n" else raw)
        ]


def test_a_byte_order_mark_is_taken_off():
    assert [arrival.body for arrival in _arrivals(b"\xef\xbb\xbf" + PATIENT)] == [PATIENT]
    assert [arrival.body for arrival in _arrivals(b"\xef\xbb\xbf" + ADT)] == [ADT]


def test_hl7_files_may_be_framed_or_in_batches():
    assert [arrival.body for arrival in _arrivals(frame(ADT + b"\r") + frame(ORU))] == [ADT, ORU]
    batch = rb"FHS|^~\&" + b"\n" + ADT.replace(b"\r", b"\n") + b"\nFTS|1\n"
    assert [arrival.body for arrival in _arrivals(batch)] == [ADT.replace(b"\r", b"\n")]


def test_an_empty_file_gives_nothing():
    assert _arrivals(b"") == _arrivals(b"\n \n") == []


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(lambda raw: b"{" + raw)))
def test_any_bytes_give_arrivals_or_an_outcome(raw: bytes):
    with suppress(OutcomeError):
        _arrivals(raw, item_bytes=100)


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst", ".zip", ".tar"])
@given(raw=st.binary(max_size=300))
def test_no_file_ends_a_load(tmp_path_factory: pytest.TempPathFactory, suffix: str, raw: bytes):
    magic = {
        ".gz": b"\x1f\x8b",
        ".zst": b"\x28\xb5\x2f\xfd",
        ".zip": b"PK\x03\x04",
        ".tar": b"\x00" * 257 + b"ustar",
    }
    path = tmp_path_factory.getbasetemp() / f"fuzz{suffix}"
    path.write_bytes(magic.get(suffix, b"") + raw)
    _read(path)


def test_a_file_of_fhir_in_xml_is_one_item_and_other_xml_is_none():
    body = (
        b'\xef\xbb\xbf<?xml version="1.0"?>\n<Patient xmlns="http://hl7.org/fhir"><id value="7"/></Patient>'
    )
    [found] = arrivals(io.BufferedReader(io.BytesIO(body)))  # pyright: ignore[reportArgumentType]
    assert (found.kind, found.body, found.media) == ("fhir", body, "application/fhir+xml")
    with pytest.raises(OutcomeError, match="longer"):
        list(arrivals(io.BufferedReader(io.BytesIO(body)), "", Sizes(item_bytes=20)))  # pyright: ignore[reportArgumentType]
    with pytest.raises(OutcomeError, match="neither HL7 v2 nor FHIR"):
        list(arrivals(io.BufferedReader(io.BytesIO(b"<html/>"))))  # pyright: ignore[reportArgumentType]
