"""The messages of the checks are reproducible, and each is another one."""

from __future__ import annotations

from careloom.connect.msh import msh_of, source_of
from careloom.verify.messages import messages
from careloom.verify.mllp_once import SOURCE


def test_the_same_seed_gives_the_same_messages_and_every_control_id_once():
    assert messages(50, 3) == messages(50, 3) != messages(50, 4)
    assert len({msh_of(message).control_id for message in messages(50, 3)}) == 50


def test_they_come_from_the_source_that_the_check_looks_for():
    assert {source_of(msh_of(message)) for message in messages(8, 1)} == {SOURCE}
