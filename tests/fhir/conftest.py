"""Public suites for the tests of fhir: the R4 package of examples and Synthea bundles, read into memory."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from careloom.settings import settings_from


def files_of(archive: Path, *, suffix: str = ".json") -> Iterator[tuple[str, bytes]]:
    if not archive.exists():
        pytest.skip(f"the public suite {archive.name} is not here; set CARELOOM_CONFORMANCE")
    raw = zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(archive.read_bytes()).read()
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.name.endswith(suffix) else None
            if content is not None:
                yield Path(member.name).name, content.read()


@pytest.fixture(scope="session")
def r4_archive() -> Path:
    path = settings_from().conformance / "fhir-r4-definitions" / "hl7.fhir.r4.examples-4.0.1.tar.zst"
    if not path.exists():
        pytest.skip("the R4 package of examples is not here; set CARELOOM_CONFORMANCE")
    return path


@pytest.fixture(scope="session")
def r4_examples(r4_archive: Path) -> dict[str, bytes]:
    """Every resource of the package but for the definitions of R4 itself, by file name."""
    definitions = (
        "StructureDefinition-",
        "SearchParameter-",
        "ValueSet-",
        "CodeSystem-",
        "ConceptMap-",
        "package",
    )
    return {name: raw for name, raw in files_of(r4_archive) if not name.startswith(definitions)}


@pytest.fixture(scope="session")
def synthea_bundles() -> list[bytes]:
    """Twenty of the Synthea transaction bundles, in the order of their names."""
    archive = settings_from().conformance / "patients" / "synthea-r4.tar.zst"
    return [raw for _, raw in sorted(files_of(archive))[:20]]
