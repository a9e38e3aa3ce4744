"""settings: every setting, its type, default and meaning. The only reader of the environment.

A setting `mllp_port` is read from the variable CARELOOM_MLLP_PORT. docs/reference/settings.md lists them all.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_LAST_PORT = 65_535
_THIS_MACHINE = frozenset({"127.0.0.1", "::1", "localhost"})
_A_CENTURY_HOURS = 876_000


class WrongSetting(ValueError):  # noqa: N818 - it is what it is called
    """A setting that cannot be read; the text is a sentence for who set it. This room knows no OutcomeError."""


def _default_home() -> Path:
    # The database server never runs as root, and its user cannot enter /root: a service directory serves it.
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return Path("/var/lib/careloom")
    return Path.home() / ".local" / "share" / "careloom"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of one running careloom."""

    home: Path = field(default_factory=_default_home)
    """Where the embedded database, blobs, logs and run files live."""
    database_url: str = ""
    """A PostgreSQL 16+ URL. Empty: a database is found or embedded under `home`."""
    host: str = "127.0.0.1"
    """Address that the web server and the listeners bind."""
    port: int = 8080
    """Port of the web server (pages and /fhir)."""
    mllp_port: int = 2575
    """Port of the MLLP listener for HL7 v2; 0 switches it off."""
    mllp_source: str = ""
    """Name of the source for MLLP messages; empty: MSH-3 and MSH-4 of each message name it."""
    mllp_tls_cert: str = ""
    """PEM file with certificate and key; set, the MLLP listener speaks TLS."""
    watch_folder: str = ""
    """Folder whose files are taken in as they appear; empty: no folder is watched."""
    forward_to: str = ""
    """Where each HL7 v2 message that was taken in is sent on, in order: `mllp://host:port`, several with commas."""
    time_zone: str = "UTC"
    """IANA zone of timestamps that come without one, and of the pages."""
    day_first: bool = False
    """True: a numeric date 03/04/2020 in a source is 3 April."""
    identity_salt: str = ""
    """Secret that keys the stored hashes of demographics; empty: `up` makes one and keeps it in `home`/identity.key."""
    guides: str = ""
    """Packages (.tgz) of implementation guides, several with commas: their profiles are known to $validate."""
    required_profiles: str = ""
    """Profiles of the guides that what comes in must conform to: `Type=url`, several with commas; one for each type is enough."""
    bulk_kept_hours: float = 168.0
    """For how long after its end the files of a bulk export, and what is told of an import, are kept."""
    import_max_gb: float = 64.0
    """Gigabytes (unpacked) of one file that `$import` takes; it goes to the disk as it comes."""
    lake: bool = True
    """False: no process keeps the lake fresh; `careloom lake build` still does."""
    lake_folder: str = ""
    """Folder of the lake's tables; empty: `lake` under `home`."""
    views_folder: str = ""
    """Folder of a site's own views, a ViewDefinition in each `.json`; empty: `views` under `home`."""
    lake_every_s: float = 2.0
    """How often the lake asks the store for what is new, in seconds."""
    lake_flow_s: float = 5.0
    """While much comes the lake takes it so often, in seconds: fewer and larger batches cost less."""
    lake_aside_share: float = 0.01
    """The part of all versions that may be set aside before a build of the lake counts as failed."""
    flight_port: int = 0
    """Port of the lake's endpoint for Arrow Flight SQL (ADBC, JDBC, ODBC); 0: there is none."""
    flight_tls_cert: str = ""
    """PEM file with certificate and key; set, the endpoint of the lake speaks TLS. Beyond this machine it must."""
    omop_vocabulary: str = ""
    """Folder of an unpacked vocabulary download from Athena, by which codes become concepts; empty: concepts are 0."""
    log_level: str = "info"
    """debug, info, warning or error."""
    conformance: Path = Path("../shared/data")
    """Where public conformance suites lie; tests and benches that need one skip where it is absent."""
    demo: bool = False
    """True: pages carry the banner of synthetic data, and the sign-in page lists the demo users."""
    escalate_after_minutes: float = 10.0
    """An unacknowledged task climbs to the next role after this time; scaled by the demo's clock."""
    workers: int = 0
    """Processes that `load` uses; 0: one for each core."""
    verify_rows: int = 30_000
    """Resources in the store of `careloom verify new-parameter`."""


def lake_root(settings: Settings) -> Path:
    """Where the tables of the lake lie.

    >>> lake_root(Settings(home=Path("/srv/care"))).as_posix()
    '/srv/care/lake'
    """
    return Path(settings.lake_folder).expanduser() if settings.lake_folder else settings.home / "lake"


def views_root(settings: Settings) -> Path:
    """Where a site's own ViewDefinitions lie.

    >>> views_root(Settings(home=Path("/srv/care"))).as_posix()
    '/srv/care/views'
    """
    return Path(settings.views_folder).expanduser() if settings.views_folder else settings.home / "views"


def listed(text: str) -> list[str]:
    """What a setting names that takes several with commas.

    >>> listed("a, b,")
    ['a', 'b']
    """
    return [name.strip() for name in text.split(",") if name.strip()]


def settings_from(environment: Mapping[str, str] | None = None, **overrides: object) -> Settings:
    """Read settings from the environment; `overrides` (from the command line) win where they are not None.

    >>> settings_from({"CARELOOM_PORT": "9000"}).port
    9000
    """
    environment = os.environ if environment is None else environment
    values: dict[str, object] = {}
    for setting in fields(Settings):
        given = overrides.get(setting.name)
        if given is None:
            given = environment.get(f"CARELOOM_{setting.name.upper()}")
        if given is not None:
            values[setting.name] = (
                _typed(setting.name, str(setting.type), given) if isinstance(given, str) else given
            )
    return Settings(**values)  # pyright: ignore[reportArgumentType]


def mistakes(settings: Settings) -> list[str]:
    """A sentence for each setting whose value cannot work.

    >>> mistakes(Settings(port=70_000))
    ['CARELOOM_PORT must be a port from 1 to 65535.']
    """
    found: list[str] = []
    if not 1 <= settings.port <= _LAST_PORT:
        found.append(f"CARELOOM_PORT must be a port from 1 to {_LAST_PORT}.")
    if not 0 <= settings.mllp_port <= _LAST_PORT:
        found.append(f"CARELOOM_MLLP_PORT must be a port from 1 to {_LAST_PORT}, or 0 for none.")
    found += _mistakes_of_lake(settings)
    if settings.verify_rows < 1:
        found.append("CARELOOM_VERIFY_ROWS must be a number of resources above 0.")
    if settings.workers < 0:
        found.append("CARELOOM_WORKERS must be a number of processes, or 0 for one a core.")
    if not settings.import_max_gb > 0:
        found.append("CARELOOM_IMPORT_MAX_GB must be a number of gigabytes above 0.")
    if not 0 <= settings.bulk_kept_hours <= _A_CENTURY_HOURS:
        found.append("CARELOOM_BULK_KEPT_HOURS must be a number of hours.")
    if settings.log_level.upper() not in logging.getLevelNamesMapping():
        found.append("CARELOOM_LOG_LEVEL must be debug, info, warning or error.")
    try:
        ZoneInfo(settings.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        found.append("CARELOOM_TIME_ZONE must be an IANA zone, such as Europe/Berlin.")
    return found


def _mistakes_of_lake(settings: Settings) -> list[str]:
    found: list[str] = []
    if not 0 <= settings.flight_port <= _LAST_PORT:
        found.append(f"CARELOOM_FLIGHT_PORT must be a port from 1 to {_LAST_PORT}, or 0 for none.")
    if settings.flight_port and not settings.flight_tls_cert and settings.host not in _THIS_MACHINE:
        found.append(
            "CARELOOM_FLIGHT_TLS_CERT must be set where CARELOOM_HOST is not of this machine: passwords travel to it."
        )
    if settings.lake_every_s <= 0:
        found.append("CARELOOM_LAKE_EVERY_S must be a number of seconds above 0.")
    if settings.lake_flow_s < 0:
        found.append("CARELOOM_LAKE_FLOW_S must be a number of seconds.")
    if not 0 <= settings.lake_aside_share <= 1:
        found.append("CARELOOM_LAKE_ASIDE_SHARE must be a part from 0 to 1.")
    return found


def _typed(name: str, kind: str, text: str) -> object:
    match kind:
        case "int" | "float":
            try:
                return int(text) if kind == "int" else float(text)
            except ValueError:
                what = "a whole number" if kind == "int" else "a number"
                raise WrongSetting(f"CARELOOM_{name.upper()} must be {what}.") from None
        case "bool":
            return text.strip().lower() in {"1", "true", "yes", "on"}
        case "Path":
            return Path(text).expanduser()
        case _:
            return text
