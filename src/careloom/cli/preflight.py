"""cli.preflight: what would keep careloom from running, said in one sentence before anything is started.

Room: cli. Touches: the home, ports of this machine, the watched folder, the certificate's file.
"""

from __future__ import annotations

import errno
import socket
from pathlib import Path

from careloom.connect import mllp
from careloom.connect.deliver import address_of
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.flow.delivery import destinations_of
from careloom.settings import Settings, mistakes


def refuse_mistakes(settings: Settings) -> None:
    """Raise OutcomeError(invalid) with the first thing that is wrong in the settings."""
    for sentence in mistakes(settings):
        raise OutcomeError(Issue("invalid", sentence))


def require_startable(settings: Settings) -> None:
    """Raise OutcomeError unless ports are free, and what the listeners need is there."""
    for destination in destinations_of(settings):
        address_of(destination)
    if settings.port == settings.mllp_port:
        text = f"The pages and MLLP cannot share port {settings.port}: choose another with --port or --mllp-port."
        raise OutcomeError(Issue("conflict", text))
    if settings.flight_port and settings.flight_port in {settings.port, settings.mllp_port}:
        text = f"Port {settings.flight_port} is that of the pages or of MLLP: choose another with CARELOOM_FLIGHT_PORT."
        raise OutcomeError(Issue("conflict", text))
    ports = {
        "--port": settings.port,
        "--mllp-port": settings.mllp_port,
        "CARELOOM_FLIGHT_PORT": settings.flight_port,
    }
    for option, port in ports.items():
        if port:
            _require_free(settings.host, port, option)
    if settings.mllp_tls_cert:
        mllp.tls_context(Path(settings.mllp_tls_cert))
    if settings.watch_folder:
        _make(Path(settings.watch_folder), "watched folder", "CARELOOM_WATCH_FOLDER")


def make_home(home: Path) -> None:
    """Make the home. Raises OutcomeError if that cannot be."""
    _make(home, "home", "CARELOOM_HOME or --home")


def _make(folder: Path, name: str, setting: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        text = f"The {name} {folder} cannot be made ({error.strerror}); set {setting}."
        raise OutcomeError(Issue("no-store", text)) from None


def _require_free(host: str, port: int, option: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
                text = f"{host} is no address of this machine ({error.strerror}); choose another with --host."
                raise OutcomeError(Issue("not-found", text)) from None
            text = f"Port {port} on {host} is not free ({error.strerror}); choose another with {option}."
            raise OutcomeError(Issue("conflict", text)) from None
