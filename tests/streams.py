"""Bytes between sockets, for what stands between a client and a server in a test."""

from __future__ import annotations

import socket
from contextlib import suppress


def exactly(source: socket.socket, size: int) -> bytes:
    """So many bytes. Raises ConnectionError where the other side ends before."""
    data = b""
    while len(data) < size:
        part = source.recv(size - len(data))
        if not part:
            raise ConnectionError
        data += part
    return data


def pump(source: socket.socket, target: socket.socket) -> None:
    """Everything that comes, until either side ends: then both do."""
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    finally:
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
