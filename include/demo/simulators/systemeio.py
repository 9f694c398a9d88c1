"""Systeme.io's public API as its clients know it: /api/contacts, /api/tags, /api/contact_fields.

The official endpoint pages could not be read, so what clients disagree about is an option.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

from demo.credentials import SYSTEMEIO_API_KEY, SYSTEMEIO_API_KEY_WITHOUT_PERMISSION
from demo.population import ALL_TAGS, FIRST_DAY, Block, Contact
from demo.simulators.api import Api, Quota, Traffic
from demo.simulators.rows import CursorNotFoundError, Page, Rows, encode
from demo.simulators.server import Request, Response
from demo.simulators.xendit import parse_time

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_TAG_ID = {name: 1_204_500 + 17 * position for position, name in enumerate(ALL_TAGS)}
_FIELDS = (
    ("First name", "first_name"),
    ("Surname", "surname"),
    ("Phone number", "phone_number"),
    ("Country", "country"),
    ("Company name", "company_name"),
)
_TEXTS = {
    "en": {
        "unauthorized": "Full authentication is required to access this resource.",
        "forbidden": "Access Denied.",
        "not_found": "Not Found",
        "too_many": "Too Many Requests",
        "limit": "The limit parameter must be between 10 and 100.",
        "date": "This value is not a valid datetime.",
    },
    "es": {
        "unauthorized": "Se requiere autenticación completa para acceder a este recurso.",
        "forbidden": "Acceso denegado.",
        "not_found": "No encontrado",
        "too_many": "Demasiadas solicitudes",
        "limit": "Valor incorrecto del parámetro de límite de paginación.",
        "date": "Este valor no es una fecha y hora válidas.",
    },
    "fr": {
        "unauthorized": "Une authentification complète est requise pour accéder à cette ressource.",
        "forbidden": "Accès refusé.",
        "not_found": "Introuvable",
        "too_many": "Trop de requêtes",
        "limit": "Mauvaise valeur du paramètre de limite de pagination.",
        "date": "Cette valeur n'est pas une date valide.",
    },
}


@dataclass(frozen=True)
class SystemeioOptions:
    """Behaviour that is not documented, each with its likeliest value."""

    order_honoured: bool = False
    default_limit: int = 10
    source_url: bool = True  # older accounts' contacts have no member sourceURL
    locale: str = "en"  # of the error texts: en, es or fr
    lost_cursor: str = "continue"  # the cursor's row was deleted or left the filter; or "error", "empty"
    # shared by all keys of the account; None for no limit
    rate_limit: int | None = None
    window_seconds: float = 60.0
    refill: str | None = "seconds"  # X-RateLimit-Refill as "seconds", "epoch", "iso" or "date", None for absent
    retry_after: str | None = "seconds"  # or "date", None for absent


def iso(milliseconds: int) -> str:
    """A time as Systeme.io writes it: whole seconds and a numeric offset."""
    return (_EPOCH + timedelta(milliseconds=milliseconds)).isoformat(timespec="seconds")


def contact_row(contact: Contact) -> dict[str, Any]:
    """A contact as `GET /api/contacts` shows it."""
    values = {
        "first_name": contact.first_name,
        "surname": contact.surname,
        "phone_number": contact.phone,
        "country": contact.country,
        "company_name": None,
    }
    return {
        "id": contact.id,
        "email": contact.email,
        "registeredAt": iso(contact.registered),
        "locale": contact.locale,
        "sourceURL": contact.source_url,
        "unsubscribed": contact.unsubscribed,
        "bounced": contact.bounced,
        "needsConfirmation": contact.needs_confirmation,
        "fields": [{"fieldName": name, "slug": slug, "value": values[slug]} for name, slug in _FIELDS],
        "tags": [{"id": _TAG_ID[name], "name": name} for name in contact.tags],
    }


def tag_rows() -> Iterable[dict[str, Any]]:
    """The account's tags as `GET /api/tags` shows them."""
    for position, (name, tag_id) in enumerate(_TAG_ID.items()):
        yield {"id": tag_id, "name": name, "createdAt": iso(FIRST_DAY - (100 - position) * 86_400_000)}


def _contact_columns(row: Mapping[str, Any]) -> dict[str, int]:
    return {
        "id": int(row["id"]),
        "registered": parse_time(row["registeredAt"]),
        "unsubscribed": int(row["unsubscribed"]),
        "bounced": int(row["bounced"]),
        "needsConfirmation": int(row["needsConfirmation"]),
    }


def _tag_columns(row: Mapping[str, Any]) -> dict[str, int]:
    return {"id": int(row["id"])}


@dataclass
class SystemeioWorld:
    """The rows of the account, ready to be paged."""

    contacts: Rows
    tags: Rows

    @classmethod
    def empty(cls) -> SystemeioWorld:
        """A world to append to."""
        return cls(Rows(_contact_columns), Rows(_tag_columns))

    def append(self, block: Block) -> None:
        """Add a block's contacts."""
        self.contacts.append(map(contact_row, block.contacts))

    def seal(self) -> None:
        """End of appending."""
        self.tags.append(tag_rows())
        self.contacts.seal()
        self.tags.seal()

    def fork(self) -> SystemeioWorld:
        """A copy that can be changed on its own."""
        return SystemeioWorld(self.contacts.fork(), self.tags.fork())


class _RefusalError(Exception):
    """An answer other than 200: ``text`` names the message, ``member`` the parameter of a 422."""

    def __init__(self, status: int, text: str, member: str | None = None) -> None:
        super().__init__(text)
        self.status, self.text, self.member = status, text, member


class SystemeioApi(Api):
    """The endpoints."""

    name = "systemeio"

    def __init__(self, world: SystemeioWorld, options: SystemeioOptions, traffic: Traffic) -> None:
        super().__init__(traffic)
        self.world = world
        self.options = options
        self._quota = Quota(options.rate_limit, options.window_seconds)

    def answer(self, request: Request) -> Response:
        headers: dict[str, str] = {}
        try:
            _authorise(request)
            if request.method != "GET":
                raise _RefusalError(405, "not_found")
            allowed, remaining, wait = self._quota.take("account")
            if not allowed:
                return self.too_many_requests(wait)
            headers = self._quota_headers(remaining, wait)
            return Response(200, self._body(request), headers)
        except CursorNotFoundError:
            return self._refusal(_RefusalError(404, "not_found"), headers)
        except _RefusalError as refusal:
            return self._refusal(refusal, headers)

    def too_many_requests(self, wait: float) -> Response:
        headers = self._quota_headers(0, wait)
        retry_after = self._moment(self.options.retry_after, wait)
        if retry_after is not None:
            headers["Retry-After"] = retry_after
        return self._refusal(_RefusalError(429, "too_many"), headers)

    def _quota_headers(self, remaining: int, wait: float) -> dict[str, str]:
        headers = {"X-RateLimit-Limit": str(self._quota.limit or 600), "X-RateLimit-Remaining": str(remaining)}
        refill = self._moment(self.options.refill, wait)
        return headers if refill is None else {**headers, "X-RateLimit-Refill": refill}

    def _moment(self, form: str | None, wait: float) -> str | None:
        """The moment ``wait`` seconds from now, in one of the forms that clients report."""
        seconds = int(wait) + 1
        later = datetime.now(timezone.utc) + timedelta(seconds=seconds)
        forms: dict[str | None, Callable[[], str | None]] = {
            "seconds": lambda: str(seconds),
            "epoch": lambda: str(int(later.timestamp())),
            "iso": lambda: later.isoformat(timespec="seconds"),
            "date": lambda: format_datetime(later, usegmt=True),
            None: lambda: None,
        }
        return forms[form]()

    def _refusal(self, refusal: _RefusalError, headers: dict[str, str]) -> Response:
        message = _TEXTS[self.options.locale][refusal.text]
        body: dict[str, object] = {"type": "about:blank", "title": "An error occurred", "status": refusal.status}
        body["detail"] = f"{refusal.member}: {message}" if refusal.member else message
        if refusal.member:
            body["violations"] = [{"propertyPath": refusal.member, "message": message, "code": "04b91c99"}]
        return Response(refusal.status, encode(body), headers, "application/problem+json; charset=utf-8")

    def _body(self, request: Request) -> bytes:
        collection, _, identifier = request.path.removeprefix("/api/").partition("/")
        if not request.path.startswith("/api/"):
            collection = ""
        if collection == "contact_fields" and not identifier:
            fields = [{"fieldName": name, "slug": slug} for name, slug in _FIELDS]
            return encode({"items": fields, "hasMore": False})
        rows = {"contacts": self.world.contacts, "tags": self.world.tags}.get(collection)
        if rows is None:
            raise _RefusalError(404, "not_found")
        if identifier:
            return self._item(rows, rows.slot(_number(identifier)))
        tests = self._contact_filters(request) if rows is self.world.contacts else self._tag_filters(request)
        cursor = request.value("startingAfter")
        page = rows.page(
            self._limit(request),
            None if cursor is None else _number(cursor),
            matches=(lambda slot: all(test(slot) for test in tests)) if tests else None,
            backwards=self.options.order_honoured and request.value("order") == "asc",
            lost_cursor=self.options.lost_cursor,
        )
        return self._items(rows, page)

    def _items(self, rows: Rows, page: Page) -> bytes:
        items = b",".join(self._item(rows, slot) for slot in page.slots)
        return b'{"items":[' + items + b'],"hasMore":' + (b"true" if page.has_more else b"false") + b"}"

    def _item(self, rows: Rows, slot: int) -> bytes:
        if self.options.source_url or rows is not self.world.contacts:
            return rows.payload(slot)
        row = rows.row(slot)
        row.pop("sourceURL", None)
        return encode(row)

    def _limit(self, request: Request) -> int:
        text = request.value("limit")
        if text is None:
            return self.options.default_limit
        if not text.isdigit() or not 10 <= int(text) <= 100:
            raise _RefusalError(422, "limit", "pagination.limit")
        return int(text)

    def _contact_filters(self, request: Request) -> list[Callable[[int], bool]]:
        rows = self.world.contacts
        tests: list[Callable[[int], bool]] = []
        registered = rows.columns["registered"]
        after, before = _date(request, "registeredAfter"), _date(request, "registeredBefore")
        if after is not None:
            tests.append(lambda slot: registered[slot] > after)
        if before is not None:
            tests.append(lambda slot: registered[slot] < before)
        for name in ("unsubscribed", "bounced", "needsConfirmation"):
            value = request.value(name)
            if value is not None:
                tests.append(_flag(rows, name, value in ("true", "1")))
        tags = request.value("tags")
        if tags:
            wanted = {_number(tag) for tag in tags.split(",")}
            tests.append(lambda slot: wanted <= {tag["id"] for tag in rows.row(slot)["tags"]})
        email = request.value("email")
        if email is not None:
            tests.append(lambda slot: str(rows.row(slot)["email"] or "").lower() == email.lower())
        return tests

    def _tag_filters(self, request: Request) -> list[Callable[[int], bool]]:
        rows, query = self.world.tags, request.value("query")
        return [lambda slot: query.lower() in str(rows.row(slot)["name"]).lower()] if query else []


def _authorise(request: Request) -> None:
    key = request.headers.get("x-api-key", "")
    if key == SYSTEMEIO_API_KEY_WITHOUT_PERMISSION:
        raise _RefusalError(403, "forbidden")
    if key != SYSTEMEIO_API_KEY:
        raise _RefusalError(401, "unauthorized")


def _flag(rows: Rows, column: str, wanted: bool) -> Callable[[int], bool]:
    values = rows.columns[column]
    return lambda slot: bool(values[slot]) == wanted


def _number(text: str) -> int:
    if not text.isdigit():
        raise _RefusalError(404, "not_found")
    return int(text)


def _date(request: Request, name: str) -> int | None:
    text = request.value(name)
    try:
        return None if text is None else parse_time(text)
    except ValueError:
        raise _RefusalError(422, "date", name) from None
