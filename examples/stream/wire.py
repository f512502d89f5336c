"""How source, broker and consumers talk: messages with a length in front, over TCP.

Reads: a stream's bytes. Gives: whole messages, connections. Never: reads a message without a bound,
or takes a silent peer whose machine died for a quiet one.

    4 bytes   length of what follows
    1 byte    kind
    the rest  FRAME: time sent (s, double), height, width, int16 pixels
              DONE:  how many frames more the consumer is done with (4 bytes)
              the other kinds: nothing
"""

import asyncio
import enum
import logging
import socket
import struct

LONGEST = 16 * 2**20
_FRAME = struct.Struct("!dHH")
_COUNT = struct.Struct("!I")
_HEAD = struct.Struct("!IB")
# What a socket may hide from the gauges: a few frames, not the megabytes that Linux grows it to.
_SOCKET_BYTES = 128 * 1024
_PATIENCE_S = 5.0
RETRY_S = 0.5


class Kind(enum.IntEnum):
    """What a message says."""

    SOURCE = 1  # I send frames.
    CONSUMER = 2  # I take frames; answered with WELCOME.
    WELCOME = 3
    FRAME = 4
    DONE = 5  # These frames are worked off.
    STOP = 6  # No more frames, please; answered with END behind the last one.
    END = 7


class ProtocolError(ConnectionError):
    """The peer speaks something else."""


def message(kind: Kind, body: bytes = b"") -> bytes:
    return _HEAD.pack(1 + len(body), kind) + body


async def receive(reader: asyncio.StreamReader) -> tuple[Kind, bytes]:
    """The next message.

    Raises:
        ConnectionError: the peer is gone, or speaks something else.
    """
    try:
        length, number = _HEAD.unpack(await reader.readexactly(_HEAD.size))
        if not 1 <= length <= LONGEST or number not in set(Kind):
            raise ProtocolError(f"no message begins with length {length} and kind {number}")
        return Kind(number), await reader.readexactly(length - 1)
    except asyncio.IncompleteReadError:
        raise ConnectionError("the peer closed the connection") from None


def frame(sent_s: float, side: int, pixels: bytes) -> bytes:
    """The message that is a square frame."""
    return message(Kind.FRAME, _FRAME.pack(sent_s, side, side) + pixels)


def unpacked(body: bytes) -> tuple[float, int, int, memoryview]:
    """When a frame was sent, its height, its width, its pixels.

    Raises:
        ProtocolError: the pixels are not as many as the frame says.
    """
    pixels = memoryview(body)[_FRAME.size :]
    sent_s, height, width = _FRAME.unpack_from(body) if len(body) >= _FRAME.size else (0, 0, 0)
    if not 0 < 2 * height * width == len(pixels):
        raise ProtocolError(f"a frame of {height} x {width} pixels with {len(pixels)} bytes")
    return sent_s, height, width, pixels


def done(frames: int) -> bytes:
    """The message of so many frames more."""
    return message(Kind.DONE, _COUNT.pack(frames))


def counted(body: bytes) -> int:
    """How many frames a DONE is about."""
    if len(body) != _COUNT.size:
        raise ProtocolError(f"a count of {len(body)} bytes")
    return int(_COUNT.unpack(body)[0])


def tune(writer: asyncio.StreamWriter) -> None:
    """Small buffers; and that a silent peer's machine died is noticed within about 10 s."""
    plug: socket.socket = writer.get_extra_info("socket")
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        plug.setsockopt(socket.SOL_SOCKET, option, _SOCKET_BYTES)
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 4), ("TCP_KEEPINTVL", 2), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):
            plug.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


async def connect(
    address: tuple[str, int], role: Kind
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection on which the role was told; tries until there is one."""
    told = False
    while True:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                reader, writer = await asyncio.open_connection(*address)
        except OSError as error:
            if not told:
                why = str(error) or "it is silent"
                logging.warning("the broker at %s:%d does not answer yet: %s", *address, why)
            told = True
            await asyncio.sleep(RETRY_S)
        else:
            tune(writer)
            writer.write(message(role))
            return reader, writer
