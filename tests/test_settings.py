"""Settings have the type that they declare, wherever they come from."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from careloom.cli.supervisor import environment_of
from careloom.settings import Settings, settings_from


def test_text_from_the_command_line_becomes_the_type_of_the_setting() -> None:
    assert settings_from({}, home="/srv/care", port="9000").home == Path("/srv/care")
    assert settings_from({}, home="/srv/care", port="9000").port == 9000


def test_a_child_process_gets_exactly_the_settings_of_its_parent() -> None:
    settings = Settings(home=Path("/srv/care"), demo=True, escalate_after_minutes=2.5, day_first=True)
    assert settings_from(environment_of(settings)) == settings


def test_every_setting_has_a_type_that_text_can_become() -> None:
    assert {str(setting.type) for setting in fields(Settings)} <= {"str", "int", "float", "bool", "Path"}
