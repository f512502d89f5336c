"""Samples with times of the test's own choosing, pushed to a real Mimir by remote write.

The protocol is a protobuf message in a snappy block; both are written by hand here (the block of
literals only, which is valid snappy), so that no library is needed for some ten lines.
"""

import struct
from collections.abc import Mapping, Sequence

import httpx

# Name, labels, and samples as (seconds since 1970, value).
Sampled = tuple[str, Mapping[str, str], Sequence[tuple[float, float]]]
# What Prometheus writes for a series that has ended.
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]


def push(mimir_url: str, tenant: str, series: Sequence[Sampled]) -> None:
    """Push samples; each series' times must grow."""
    body = b"".join(_field(1, _series(*one)) for one in series)
    response = httpx.post(
        f"{mimir_url}/api/v1/push",
        content=_snappy(body),
        headers={
            "X-Scope-OrgID": tenant,
            "Content-Encoding": "snappy",
            "Content-Type": "application/x-protobuf",
            "X-Prometheus-Remote-Write-Version": "0.1.0",
        },
        trust_env=False,
        timeout=30,
    )
    assert response.status_code == 200, response.text


def _series(name: str, labels: Mapping[str, str], samples: Sequence[tuple[float, float]]) -> bytes:
    pairs = sorted({**labels, "__name__": name}.items())
    written = [_field(1, _text(1, key) + _text(2, value)) for key, value in pairs]
    for time_s, value in samples:
        sample = b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(round(time_s * 1000))
        written.append(_field(2, sample))
    return b"".join(written)


def _text(number: int, text: str) -> bytes:
    return _field(number, text.encode())


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def _snappy(content: bytes) -> bytes:
    literals = []
    for start in range(0, len(content), 65536):
        chunk = content[start : start + 65536]
        literals.append(b"\xf4" + struct.pack("<H", len(chunk) - 1) + chunk)
    return _varint(len(content)) + b"".join(literals)
