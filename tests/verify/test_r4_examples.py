"""XML that HL7 published is read as its JSON says, and comes back."""

from __future__ import annotations

import pytest

from careloom.settings import settings_from
from careloom.verify.archive import files
from careloom.verify.figure import floors, judged
from careloom.verify.r4_examples import ARCHIVE, PUBLISHED_XML, of_published_xml


@pytest.mark.conformance
def test_published_xml_says_what_the_published_json_says() -> None:
    conformance = settings_from().conformance
    if not (conformance / ARCHIVE).exists() or not (conformance / PUBLISHED_XML).exists():
        pytest.skip("The R4 examples are absent: set CARELOOM_CONFORMANCE.")
    package = {name.rpartition("/")[2]: raw for name, raw in files(conformance / ARCHIVE)}
    assert judged(of_published_xml(conformance / PUBLISHED_XML, package), floors(), 0).ok
