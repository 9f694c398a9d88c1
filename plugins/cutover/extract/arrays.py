"""Bytes to PostgreSQL as arrays in its binary format, as they are: nothing is quoted, escaped or looked at.

psycopg's own dumper of lists goes through each element in Python, which for a page of rows costs more than all the
rest of storing it.
"""

from __future__ import annotations

import struct
from typing import Any, ClassVar

import psycopg
from psycopg import adapters
from psycopg.adapt import Buffer, Dumper
from psycopg.pq import Format


class _Array(list[bytes]):
    """The elements, each as PostgreSQL receives a value of this type."""


class TextArray(_Array):
    """``text[]``, from UTF-8."""


class ByteaArray(_Array):
    """``bytea[]``."""


class JsonbArray(_Array):
    """``jsonb[]``, from JSON texts in UTF-8."""


class _ArrayDumper(Dumper):
    """A header (one dimension, no nulls, the elements' type, how many, numbered from 1), then the elements."""

    format = Format.BINARY
    element: ClassVar[int]
    # what a value of the type begins with
    prefix: ClassVar[bytes] = b""

    def dump(self, obj: _Array) -> Buffer:
        parts = [struct.pack("!5i", 1, 0, self.element, len(obj), 1)]
        prefix = self.prefix
        for value in obj:
            parts += (struct.pack("!i", len(prefix) + len(value)), prefix, value)
        return b"".join(parts)


class _TextArrayDumper(_ArrayDumper):
    element = adapters.types["text"].oid
    oid = adapters.types["text"].array_oid


class _ByteaArrayDumper(_ArrayDumper):
    element = adapters.types["bytea"].oid
    oid = adapters.types["bytea"].array_oid


class _JsonbArrayDumper(_ArrayDumper):
    element = adapters.types["jsonb"].oid
    oid = adapters.types["jsonb"].array_oid
    # the version of the format
    prefix = b"\x01"


def register(connection: psycopg.Connection[Any]) -> None:
    """Let ``connection`` take these arrays as parameters."""
    connection.adapters.register_dumper(TextArray, _TextArrayDumper)
    connection.adapters.register_dumper(ByteaArray, _ByteaArrayDumper)
    connection.adapters.register_dumper(JsonbArray, _JsonbArrayDumper)
