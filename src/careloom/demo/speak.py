"""demo.speak: the mouths of the three systems: each says its messages in order, and again until they are heard.

Room: demo. Opens sockets to careloom's front doors and to nothing else.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from queue import Queue

import httpx
import structlog

from careloom.connect.mllp_send import Sender
from careloom.demo.chronicle import Message
from careloom.demo.population import SYSTEMS, System
from careloom.fhir.outcome import OutcomeError
from careloom.settings import Settings

_log = structlog.get_logger(__name__)

Said = Callable[[Message], None]
_MOST_PAUSE_S = 10.0
_SERVER_ERROR = 500
_TOO_MANY = 429


class Mouth:
    """One system: a queue of messages and a thread that says them."""

    def __init__(
        self, system: System, say: Callable[[bytes], bool], stop: threading.Event, said: Said
    ) -> None:
        self.queue: Queue[Message | None] = Queue()
        self._system = system
        self._say = say
        self._stop = stop
        self._said = said
        self._thread = threading.Thread(target=self._run, name=f"demo-{system}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop after what is being said."""
        self.queue.put(None)
        self._thread.join(timeout=15)

    def _run(self) -> None:
        while (message := self.queue.get()) is not None:
            if self._until_heard(message):
                self._said(message)
            self.queue.task_done()
        self.queue.task_done()

    def _until_heard(self, message: Message) -> bool:
        pause_s = 0.5
        while not self._stop.is_set():
            if self._say(message.body):
                return True
            _log.info("demo_not_heard", system=self._system, pause_s=pause_s)
            self._stop.wait(pause_s)
            pause_s = min(2 * pause_s, _MOST_PAUSE_S)
        return False


@contextmanager
def mouths(
    settings: Settings, token: str, stop: threading.Event, said: Said
) -> Generator[dict[System, Mouth]]:
    """The mouths of all systems: `ehr` and `lab` over MLLP, `clinic` over HTTP with a Bearer token."""
    host = "127.0.0.1" if settings.host in {"", "0.0.0.0", "::"} else settings.host  # noqa: S104 - not bound here
    tls = ssl.create_default_context(cafile=settings.mllp_tls_cert) if settings.mllp_tls_cert else None
    with (
        httpx.Client(base_url=f"http://{host}:{settings.port}", timeout=30.0, trust_env=False) as client,
        Sender(host, settings.mllp_port, tls=tls) as ehr,
        Sender(host, settings.mllp_port, tls=tls) as lab,
    ):
        ways: dict[System, Callable[[bytes], bool]] = {
            "ehr": lambda body: _over_mllp(ehr, body),
            "lab": lambda body: _over_mllp(lab, body),
            "clinic": lambda body: _over_http(client, token, body),
        }
        opened: dict[System, Mouth] = {system: Mouth(system, ways[system], stop, said) for system in SYSTEMS}
        try:
            yield opened
        finally:
            stop.set()
            for mouth in opened.values():
                mouth.close()


def _over_mllp(sender: Sender, body: bytes) -> bool:
    """True when it was answered; a refusal is an answer too, and is careloom's to explain."""
    try:
        answer = sender.send(body)
    except OutcomeError:
        return False
    if answer is not None and not answer.is_accepted:
        _log.info("demo_message_refused", code=answer.code)
    return True


def _over_http(client: httpx.Client, token: str, body: bytes) -> bool:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/fhir+json"}
    try:
        answer = client.post("/fhir", content=body, headers=headers)
    except httpx.TransportError:
        return False
    if answer.status_code >= _SERVER_ERROR or answer.status_code == _TOO_MANY:
        return False
    if answer.is_error:
        _log.warning("demo_bundle_refused", status=answer.status_code)
    return True
