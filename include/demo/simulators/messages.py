"""A mail server and Firebase Cloud Messaging on loopback, which count what they have taken.

In a test::

    with MailServer() as mail, Fcm() as fcm:
        ...
        assert mail.taken["ana@example.com"] == 1

What they take is counted before they answer, as with the real ones: who is killed in between has delivered.
``faults`` maps a recipient (or ``*``) to faults that the next attempts at it meet, one each.
"""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections import Counter, defaultdict, deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


class _Counting:
    """What both have in common. ``latency_s`` delays every answer about a message."""

    def __init__(self, latency_s: float = 0.0) -> None:
        self.latency_s = latency_s
        self.taken: Counter[str] = Counter()
        self.messages: list[Any] = []
        self.faults: defaultdict[str, deque[str]] = defaultdict(deque)
        self.attempts = 0
        self.lock = threading.Lock()
        self._server: socketserver.TCPServer | None = None

    def fault(self, recipient: str) -> str:
        """The fault that this attempt meets; empty for none."""
        with self.lock:
            self.attempts += 1
            for name in (recipient, "*"):
                if self.faults.get(name):
                    return self.faults[name].popleft()
        return ""

    def take(self, recipient: str, message: Any) -> None:
        """Count a message as delivered."""
        with self.lock:
            self.taken[recipient] += 1
            self.messages.append(message)
        time.sleep(self.latency_s)

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        return int(self._server.server_address[1])

    def _serve(self, server: socketserver.TCPServer) -> None:
        self._server = server
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def __exit__(self, *_: object) -> None:
        self.stop()


class MailServer(_Counting):
    """SMTP. Faults are a reply's code at the recipient (``550``), ``data 451``, ``hang up`` before or ``vanish`` after
    the message was taken."""

    def __enter__(self) -> MailServer:
        outer = self

        class Handler(_SmtpConversation):
            counting = outer

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            request_queue_size = 64

        self._serve(Server(("127.0.0.1", 0), Handler))
        return self


class _SmtpConversation(socketserver.StreamRequestHandler):
    counting: MailServer

    def handle(self) -> None:
        """Answer commands until the other side goes."""
        self._recipient, self._fault = "", ""
        self._say("220 simulator")
        try:
            while line := self.rfile.readline():
                if not self._answer(line.decode("utf-8", "replace").strip()):
                    return
        except OSError:
            return

    def _answer(self, line: str) -> bool:
        verb = line.partition(" ")[0].upper()
        if verb == "EHLO":
            self._say("250-simulator\r\n250 SMTPUTF8")
        elif verb == "RCPT":
            self._recipient = line.partition("<")[2].partition(">")[0]
            self._fault = self.counting.fault(self._recipient)
            if self._fault == "hang up":
                return False
            refused = self._fault[:3].isdigit()
            self._say(f"{self._fault} <{self._recipient}> is not taken" if refused else "250 2.1.5 ok")
        elif verb == "DATA":
            return self._data()
        elif verb == "QUIT":
            self._say("221 bye")
            return False
        else:
            self._say("250 ok")
        return True

    def _data(self) -> bool:
        self._say("354 go on")
        content = b""
        while not content.endswith(b"\r\n.\r\n"):
            line = self.rfile.readline()
            if not line:
                # half a message is none
                return False
            content += line
        if self._fault.startswith("data "):
            self._say(f"{self._fault[5:]} not now")
            return True
        self.counting.take(self._recipient, content.decode())
        if self._fault == "vanish":
            return False
        self._say("250 2.0.0 taken")
        return True

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


class Fcm(_Counting):
    """FCM HTTP v1 and the sign-in of its service account. Faults: ``unregistered``, ``mismatch``, ``429 <seconds>``,
    ``503 <seconds>``, ``500``, ``401``, ``vanish`` after the message was taken."""

    def __init__(self, latency_s: float = 0.0) -> None:
        super().__init__(latency_s)
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.sign_ins = 0

    def __enter__(self) -> Fcm:
        outer = self

        class Handler(_FcmRequest):
            counting = outer

        class Server(ThreadingHTTPServer):
            request_queue_size = 64

            def handle_error(self, *_: Any) -> None:
                """Whoever is killed resets the connection: that is nobody's fault here."""

        self._serve(Server(("127.0.0.1", 0), Handler))
        return self

    @property
    def url(self) -> str:
        """The address that stands for https://fcm.googleapis.com."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def service_account(self) -> str:
        """The JSON key of an account that may send."""
        private = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return json.dumps(
            {
                "type": "service_account",
                "project_id": "mula-demo",
                "private_key_id": "k1",
                "private_key": private.decode(),
                "client_email": "sender@mula-demo.iam.gserviceaccount.com",
                "token_uri": f"{self.url}/token",
            }
        )

    def signed_in(self, assertion: str) -> bool:
        """Whether a sign-in is the service account's, as Google looks at it."""
        try:
            jwt.decode(assertion, self._key.public_key(), algorithms=["RS256"], audience=f"{self.url}/token")
        except jwt.InvalidTokenError:
            return False
        self.sign_ins += 1
        return True


_CODES = {
    "unregistered": (404, "NOT_FOUND", "UNREGISTERED"),
    "mismatch": (403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH"),
    "429": (429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED"),
    "503": (503, "UNAVAILABLE", "UNAVAILABLE"),
    "500": (500, "INTERNAL", "INTERNAL"),
    "401": (401, "UNAUTHENTICATED", None),
}


class _FcmRequest(BaseHTTPRequestHandler):
    counting: Fcm
    protocol_version = "HTTP/1.1"
    # an answer in one piece, as Nagle's algorithm would hold back the second one
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        """Sign in, or send."""
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/token":
            assertion = parse_qs(content.decode())["assertion"][0]
            if self.counting.signed_in(assertion):
                self._answer(200, {"access_token": f"t{self.counting.sign_ins}", "expires_in": 3600})
            else:
                self._answer(400, {"error": "invalid_grant"})
            return
        message = json.loads(content)["message"]
        fault, _, wait = self.counting.fault(message["token"]).partition(" ")
        if self.headers["Authorization"] != f"Bearer t{self.counting.sign_ins}":
            fault = "401"
        if fault in _CODES:
            status, name, code = _CODES[fault]
            details = [{"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}]
            error = {"code": status, "status": name, "details": details if code else []}
            self._answer(status, {"error": error}, {"Retry-After": wait} if wait else {})
            return
        self.counting.take(message["token"], message)
        if fault == "vanish":
            self.close_connection = True
            return
        self._answer(200, {"name": "projects/mula-demo/messages/1"})

    def _answer(self, status: int, said: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        body = json.dumps(said).encode()
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
