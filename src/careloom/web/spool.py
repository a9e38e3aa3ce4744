"""web.spool: a body of any size, written to a blob as it comes: no more of it is in memory than a piece.

Room: web. May import: store.blobs. Touches: `home/blobs`. No thread waits for a slow sender.
"""

from __future__ import annotations

from starlette.requests import Request

from careloom.store.blobs import Blob, Blobs, Incoming
from careloom.web.crew import Crew
from careloom.web.packing import Unpacker


async def spooled(request: Request, blobs: Blobs, crew: Crew, most: int) -> Blob:
    """The blob that holds the body. Raises OutcomeError: too-long, structure, not-supported, no-store.

    What breaks off, by the sender or by a fault, leaves nothing behind.
    """
    unpacker = Unpacker(request.headers, most)
    incoming = await crew.run(blobs.incoming)
    try:
        async for piece in request.stream():
            await crew.run(_write, incoming, unpacker, piece)
        unpacker.end()
        return await crew.run(incoming.keep)
    finally:
        await crew.run(incoming.drop)


def _write(incoming: Incoming, unpacker: Unpacker, piece: bytes) -> None:
    for plain in unpacker.fed(piece):
        incoming.write(plain)
