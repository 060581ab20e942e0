"""Names of headers that are no UTF-8: the client's own reader breaks on one, and with it the whole consumer.

Kafka takes any bytes for a name, and clients in C, Go and Rust write any. aiokafka's reader raises in the middle of a
batch: what it had read of the batch by then is lost, the partition never moves again, and the consumer's task ends. So
the fetcher is given batches that read such a name all the same; every other batch is read as before.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

LENGTH_AT, LENGTH_ENDS, MAGIC_AT = 8, 12, 16
"""Places within a batch: its length, counted from behind it, and the version of its form."""


class Records:
    """What one fetch brought of one partition; in place of the client's own."""

    def __init__(self, data: bytes) -> None:
        self._inner: Any = MemoryRecords(data)
        self._data, self._at = data, 0

    def size_in_bytes(self) -> int:
        return int(self._inner.size_in_bytes())

    def has_next(self) -> bool:
        return bool(self._inner.has_next())

    def next_batch(self) -> Any:
        begin = self._at
        (length,) = struct.unpack_from(">i", self._data, begin + LENGTH_AT)
        self._at = begin + LENGTH_ENDS + length
        batch = self._inner.next_batch()
        if self._data[begin + MAGIC_AT] < 2:
            return batch
        return Batch(batch, memoryview(self._data)[begin : self._at])


class Batch:
    """One batch; all that is asked of it but its records is asked of the client's own."""

    def __init__(self, inner: Any, data: memoryview) -> None:
        self._inner, self._data = inner, data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(list(self._inner))
        except UnicodeDecodeError:
            return iter(list(_AnyName(self._data)))


class _AnyName(_DefaultRecordBatchPy):  # type: ignore[misc, unused-ignore]
    """The same in Python, with names as Python keeps what is no UTF-8 (PEP 383)."""

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        buffer: Any = vars(self)["_buffer"]
        self._buffer = _Bytes(buffer)


class _Bytes(bytearray):
    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        return _Bytes(found) if isinstance(place, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "surrogateescape") -> str:
        return super().decode(encoding, errors)


def install() -> None:
    """Let every consumer of this process read so."""
    fetcher.MemoryRecords = Records


def is_text(name: str) -> bool:
    """Whether a name is UTF-8; another one can be read, and never be written by this client."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
