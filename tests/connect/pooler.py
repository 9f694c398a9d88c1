"""A connection pooler, as small as one can be: it stands before a server and lends its sessions out.

In transaction mode a client gets another of the server's sessions for each transaction; in session mode it keeps its
own. Either way it tells the client a process number that is no backend's, as poolers do.
"""

from __future__ import annotations

import queue
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.streams import exactly

_ENCRYPTION = (80877103, 80877104)


def _message(source: socket.socket) -> bytes:
    head = exactly(source, 5)
    return head + exactly(source, struct.unpack("!i", head[1:])[0] - 4)


class Pooler:
    """Accepts clients on ``port`` until it is closed."""

    def __init__(self, host: str, port: int, *, by_transaction: bool) -> None:
        self._server = (host, port)
        self._by_transaction = by_transaction
        self._free: queue.Queue[socket.socket] = queue.Queue()
        self._sockets: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for one in (self._listening, *self._sockets):
            with suppress(OSError):
                one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server = socket.create_connection(self._server)
        self._sockets += [client, server]
        with suppress(OSError):
            self._sign_in(client, server)
            if self._by_transaction:
                self._free.put(server)
            while True:
                request = _message(client)
                if request[:1] == b"X":
                    return
                lent = self._free.get() if self._by_transaction else server
                self._transaction(client, lent, request)
                if self._by_transaction:
                    self._free.put(lent)

    def _sign_in(self, client: socket.socket, server: socket.socket) -> None:
        while True:
            head = exactly(client, 4)
            first = head + exactly(client, struct.unpack("!i", head)[0] - 4)
            if struct.unpack("!i", first[4:8])[0] not in _ENCRYPTION:
                break
            client.sendall(b"N")
        server.sendall(first)
        while True:
            packet = _message(server)
            if packet[:1] == b"K":
                packet = packet[:5] + struct.pack("!i", 7) + packet[9:]
            client.sendall(packet)
            if packet[:1] in b"ZE":
                return
            # a password is asked for in several rounds, the last of which wants no answer
            if packet[:1] == b"R" and struct.unpack("!i", packet[5:9])[0] not in (0, 12):
                server.sendall(_message(client))

    @staticmethod
    def _transaction(client: socket.socket, server: socket.socket, request: bytes) -> None:
        while True:
            server.sendall(request)
            if request[:1] in b"QS":
                message = b""
                while message[:1] != b"Z":
                    message = _message(server)
                    client.sendall(message)
                if message[5:6] == b"I":
                    return
            request = _message(client)


@contextmanager
def pooler(host: str, port: int, *, by_transaction: bool) -> Iterator[int]:
    """A pooler before a server; yields its port."""
    made = Pooler(host, port, by_transaction=by_transaction)
    try:
        yield made.port
    finally:
        made.close()
