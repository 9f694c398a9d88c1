"""What people see: sign-in, dashboard, settings, a shared result, and the links in mails."""

from __future__ import annotations

import logging
import re
import secrets
from datetime import date, datetime, time, timezone
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.templating import Jinja2Templates

from mula_platform import limits, mail, people, rehearsal
from mula_platform.database import do, row, rows
from mula_platform.gate import FOR_PROGRAMS
from mula_platform.oldtokens import TOKEN_TYPES
from mula_platform.service import Platform, rehearsed_answer, session_of
from mula_platform.settings import APPLICATIONS
from mula_platform.signin import WrongError
from mula_platform.tokens import LINK, LINK_LIFETIME, SESSION_LIFETIME, TokenError

LOG = logging.getLogger("mula_platform")
ROUTER = APIRouter()
# Sent over HTTPS alone (and to the machine itself), from this host alone, and out of reach of scripts.
SESSION_COOKIE = "__Host-mula"
FORM_COOKIE = "__Host-mula-form"
_TEMPLATES = Jinja2Templates(directory=Path(__file__).parent / "templates")
_SHARE_CODE = re.compile(r"[A-Za-z0-9_-]{1,20}")
# Lines of a list on the dashboard, and on a page of its own.
_FEW, _MANY = 5, 100
SUPPORT = "support@mula.app"

COMING_SOON = {
    "moon_phase_rituals_soon": ("Moon Phase Rituals", "🌙"),
    "remedy_of_the_day_soon": ("Remedy of the Day", "🔮"),
    "ai_oracle_chat_soon": ("AI Oracle Chat", "✨"),
}
ACTIVITIES = {
    "account_migrated": "Your account moved here",
    "legacy_login_migrated": "You signed in from the app you had",
    "signed_in": "You signed in",
    "viewed_dasha": "You looked at your dasha",
    "calculated_compat": "You checked a compatibility",
    "account_proved": "You proved an account",
    "account_contested": "You took an account out",
    "notifications_changed": "You changed your notifications",
}
# What the launch's steps are called for people.
STEPS = {
    "fence": "Changes wait in both apps",
    "delta": "The latest is copied",
    "transform": "Both are joined",
    "approve": "Somebody checks it",
    "swap": "The new one takes over",
    "verify": "It is checked again",
    "release": "Changes are open again",
}
PROOFS = {"password": "its password", "token": "its own sign-in", "link": "a link to your address"}
# What a page says after something was done: the address names it, the words are ours.
DONE = {
    "notifications": "Your notifications are saved.",
    "chart": "That chart is your default now.",
    "proved": "That account is proved. What belongs to it is shown from now on.",
    "mailed": "We have sent you a link. It works for an hour, in a browser in which you are signed in as now.",
    "contested": "That account is taken out. It is no longer part of yours, and its sessions have ended.",
    "welcome": "Welcome to unified Mula platform!",
}


class NotSignedIn(Exception):  # noqa: N818  (not an error)
    """The page is for somebody who is signed in."""


def platform_of(request: Request) -> Platform:
    """What the service is made of."""
    platform: Platform = request.app.state.platform
    return platform


def client(request: Request) -> str | None:
    """The client's address; behind a proxy that the server trusts, the one that it tells."""
    return request.client.host if request.client else None


def maybe_session(request: Request) -> people.Session | None:
    """Who is signed in, if anybody is."""
    token = request.cookies.get(SESSION_COOKIE)
    return session_of(platform_of(request), token) if token else None


def signed_in(request: Request) -> people.Session:
    """Who is signed in. Raises HTTPException that leads to the sign-in."""
    session = maybe_session(request)
    if session is None:
        raise HTTPException(303, headers={"location": "/sign-in"})
    return session


async def own_form(request: Request) -> None:
    """Refuse a form that was not on a page of ours: it repeats what only this host's cookie knows."""
    cookie = request.cookies.get(FORM_COOKIE, "")
    typed = (await request.form()).get("form_key")
    if not cookie or not isinstance(typed, str) or not secrets.compare_digest(cookie.encode(), typed.encode()):
        raise HTTPException(403, "Your page was open for too long. Please go back, load it again, and repeat that.")


Someone = Annotated[people.Session, Depends(signed_in)]
Anyone = Annotated[people.Session | None, Depends(maybe_session)]
OWN_FORM = [Depends(own_form)]


def show(request: Request, template: str, session: people.Session | None, status: int = 200, **values: Any) -> Response:
    """A page; with it the cookie that its forms must repeat."""
    form_key = request.cookies.get(FORM_COOKIE) or secrets.token_urlsafe(32)
    done = DONE.get(request.query_params.get("done", ""))
    response = _TEMPLATES.TemplateResponse(
        request,
        template,
        {"session": session, "form_key": form_key, "done": done, "support": SUPPORT, **_maintenance(request), **values},
        status_code=status,
    )
    if FORM_COOKIE not in request.cookies:
        _set_cookie(response, FORM_COOKIE, form_key)
    return response


def _maintenance(request: Request) -> dict[str, str | None]:
    """What a page says of the maintenance window, unless it is about nothing else."""
    platform: Platform = request.app.state.platform
    window = platform.maintenance.window
    return {"maintenance": window.sentence(datetime.now(timezone.utc)) if window else None}


def message(request: Request, title: str, text: str, status: int, headers: dict[str, str] | None = None) -> Response:
    """A page that says one thing. A redirect stays one, and other programs get plain text."""
    if headers and "location" in headers:
        return RedirectResponse(headers["location"], status)
    if request.url.path.startswith(FOR_PROGRAMS):
        return Response(f"{title}\n", status, headers, "text/plain; charset=utf-8")
    response = show(request, "message.html", None, status, title=title, text=text)
    response.headers.update(headers or {})
    return response


def _set_cookie(response: Response, name: str, value: str) -> None:
    # Lax: a link in a mail opens with it, a form of another site does not
    response.set_cookie(
        name, value, max_age=int(SESSION_LIFETIME.total_seconds()), path="/", secure=True, httponly=True, samesite="lax"
    )


def _go(path: str) -> RedirectResponse:
    return RedirectResponse(path, 303)


def _let_in(token: str, path: str = "/") -> Response:
    response = _go(path)
    _set_cookie(response, SESSION_COOKIE, token)
    return response


def _flags(request: Request) -> dict[str, bool]:
    with platform_of(request).database.autocommit() as connection:
        return {flag["name"]: flag["is_on"] for flag in rows(connection, "page/flags")}


# signing in and out


@ROUTER.get("/status")
def status(request: Request, session: Anyone) -> Response:
    """Whether everything works, and how far a maintenance is: from the timeline that the launch itself keeps."""
    maintenance = platform_of(request).maintenance
    window = maintenance.window
    return show(
        request, "status.html", session, steps=maintenance.steps(), names=STEPS,
        is_open=window is not None and window.is_open,
    )  # fmt: skip


@ROUTER.get("/sign-in")
def sign_in_page(request: Request, session: Anyone) -> Response:
    """The form."""
    return _go("/") if session else show(request, "sign_in.html", None)


@ROUTER.post("/sign-in", dependencies=OWN_FORM)
def sign_in(request: Request, email: Annotated[str, Form()] = "", password: Annotated[str, Form()] = "") -> Response:
    """E-mail and password of either application."""
    platform = platform_of(request)
    proof = request.headers.get(rehearsal.HEADER)
    if proof is not None:
        return _rehearse(request, email, password, proof)
    try:
        token = platform.sign_in.by_password(email, password, client(request))
    except WrongError as error:
        platform.metrics.sign_ins.labels("password", "refused").inc()
        LOG.info("sign-in refused: %s", error.reason)
        return show(request, "sign_in.html", None, 401, email=email, problem="E-mail or password is wrong.")
    except limits.TooManyError as error:
        platform.metrics.sign_ins.labels("password", "limited").inc()
        response = show(request, "sign_in.html", None, 429, email=email, problem=_wait(error))
        response.headers["retry-after"] = str(error.seconds)
        return response
    platform.metrics.sign_ins.labels("password", "ok").inc()
    return _let_in(token, "/?done=welcome")


def _rehearse(request: Request, email: str, password: str, proof: str) -> Response:
    """The same for a rehearsal: it gets no cookie."""
    kind, _, token = proof.partition(" ")
    source = rehearsal.TOKEN_TYPES.get(kind, "")
    sign_in, caller = platform_of(request).sign_in, client(request)
    return rehearsed_answer(
        lambda: sign_in.rehearse_password(email, password, token=token, source=source, client=caller)
    )


def _wait(error: limits.TooManyError) -> str:
    minutes = -(-error.seconds // 60)
    return f"That was wrong too often. Please try again in {minutes} minute{'s' if minutes > 1 else ''}."


@ROUTER.get("/sign-in/old")
def old_token_page(request: Request, session: Anyone) -> Response:
    """Where an old application leads its people, with their token behind the # of the address."""
    return show(request, "old_token.html", session)


@ROUTER.post("/sign-in/old", dependencies=OWN_FORM)
def old_token(
    request: Request, session: Anyone, token: Annotated[str, Form()] = "", kind: Annotated[str, Form()] = ""
) -> Response:
    """An old token of either application, once."""
    platform = platform_of(request)
    source = TOKEN_TYPES.get(kind)
    problem = "That did not work. Please sign in with your e-mail and password."
    try:
        if source is None or not _flags(request).get("token_exchange"):
            raise WrongError("no such application, or switched off")
        given = platform.sign_in.by_old_token(token, source, client(request), within=session)
    except WrongError as error:
        platform.metrics.sign_ins.labels(source or "unknown", "refused").inc()
        LOG.info("old token refused: %s", error.reason)
        return show(request, "sign_in.html", None, 401, problem=problem)
    except limits.TooManyError as error:
        platform.metrics.sign_ins.labels(source or "unknown", "limited").inc()
        return show(request, "sign_in.html", None, 429, problem=_wait(error))
    platform.metrics.sign_ins.labels(source or "unknown", "ok").inc()
    return _let_in(given, "/?done=welcome") if given else _go("/settings?done=proved")


@ROUTER.post("/sign-out", dependencies=OWN_FORM)
def sign_out(request: Request, session: Anyone, everywhere: Annotated[str, Form()] = "") -> Response:
    """End this session, or all of whoever opened it."""
    if session is not None:
        with platform_of(request).database.transaction() as connection:
            do(connection, "session/revoke", jti=session.jti, why="signed out")
            if everywhere:
                do(
                    connection, "session/revoke_holder", user_id=session.user_id, holder=session.holder,
                    why="signed out everywhere",
                )  # fmt: skip
    response = _go("/sign-in")
    response.delete_cookie(SESSION_COOKIE, path="/", secure=True, httponly=True, samesite="lax")
    return response


# the dashboard, and what its cards lead to


@ROUTER.get("/")
def dashboard(request: Request, session: Someone) -> Response:
    """Both features on one page."""
    flags = _flags(request)
    with platform_of(request).database.autocommit() as connection:
        dasha = rows(connection, "page/dasha", **session.scope, most=1) if flags.get("dasha_timer") else []
        results = rows(connection, "page/results", **session.scope, most=1) if flags.get("compatibility") else []
        subscriptions = rows(connection, "page/subscriptions", **session.scope)
        activity = rows(connection, "page/activity", **session.scope, most=_FEW)
    return show(
        request,
        "dashboard.html",
        session,
        flags=flags,
        dasha=dasha[0] if dasha else None,
        result=results[0] if results else None,
        subscriptions=[one for one in subscriptions if one["is_running"]],
        activity=activity,
        coming_soon=[card for flag, card in COMING_SOON.items() if flags.get(flag)],
    )


@ROUTER.get("/dasha")
def dasha_page(request: Request, session: Someone) -> Response:
    """The periods of all charts."""
    _require(request, "dasha_timer")
    with platform_of(request).database.autocommit() as connection:
        periods = rows(connection, "page/dasha", **session.scope, most=_MANY)
    return show(request, "dasha.html", session, periods=periods)


@ROUTER.get("/compatibility")
def compatibility_page(request: Request, session: Someone) -> Response:
    """All results."""
    _require(request, "compatibility")
    with platform_of(request).database.autocommit() as connection:
        results = rows(connection, "page/results", **session.scope, most=_MANY)
    return show(request, "compatibility.html", session, results=results)


@ROUTER.get("/s/{code}")
def shared_result(request: Request, code: str, session: Anyone) -> Response:
    """A result by the share code that it has always had. Anybody may see it; each look is counted."""
    _require(request, "shared_results")
    nothing = HTTPException(404, "This result is not shared, or not any more.")
    if not _SHARE_CODE.fullmatch(code):
        raise nothing
    with platform_of(request).database.autocommit() as connection:
        result = row(connection, "page/shared_result", code=code)
        if result is None:
            raise nothing
        here = row(connection, "page/count_view", result_id=result["id"])
    assert here is not None
    return show(request, "shared.html", session, result=result, views=result["views_before"] + here["views"])


def _require(request: Request, flag: str) -> None:
    if not _flags(request).get(flag):
        raise HTTPException(404, "This is switched off at the moment. Please come back later.")


# settings


@ROUTER.get("/settings")
def settings_page(request: Request, session: Someone) -> Response:
    """Notifications, birth charts, subscription, account."""
    return _settings(request, session)


def _settings(request: Request, session: people.Session, status: int = 200, problem: str | None = None) -> Response:
    platform = platform_of(request)
    time_zones = platform.time_zones
    with platform.database.autocommit() as connection:
        accounts = rows(
            connection, "account/list", user_id=session.user_id, identity_id=session.identity_id, holder=session.holder
        )
        values = {
            "preferences": row(connection, "page/preferences", **session.scope),
            "charts": rows(connection, "page/charts", **session.scope),
            "subscriptions": rows(connection, "page/subscriptions", **session.scope),
        }
    return show(
        request, "settings.html", session, status,
        accounts=accounts, flags=_flags(request), problem=problem, time_zones=time_zones, **values,
    )  # fmt: skip


class Notifications(BaseModel):
    """The form: a switch that is off is not sent."""

    notifications_enabled: bool = False
    daily_dasha_reminder: bool = False
    email_enabled: bool = False
    marketing_emails: bool = False
    daily_reminder_time: str = ""
    timezone: str = ""


@ROUTER.post("/settings/notifications", dependencies=OWN_FORM)
def save_notifications(request: Request, session: Someone, form: Annotated[Notifications, Form()]) -> Response:
    """What to be told, how and when."""
    try:
        at = time.fromisoformat(form.daily_reminder_time).replace(tzinfo=None)
    except ValueError:
        return _settings(request, session, 422, "Please give the time of the reminder as hours and minutes.")
    platform = platform_of(request)
    time_zones = platform.time_zones
    with platform.database.transaction() as connection:
        before = row(connection, "page/preferences", **session.scope)
        # what the sources knew may have another name than a place; it stays until another one is chosen
        if form.timezone not in time_zones and (before is None or form.timezone != before["timezone"]):
            return _settings(request, session, 422, "Please choose one of the time zones.")
        chosen = {**form.model_dump(), "daily_reminder_time": at}
        if not rows(connection, "page/save_preferences", **session.scope, **chosen):
            return _settings(request, session, 409, "First prove or contest the other accounts: these are united.")
        people.log(connection, session.user_id, "notifications_changed", session.source, session.legacy_user_id)
    return _go("/settings?done=notifications")


@ROUTER.post("/settings/charts/{chart}/default", dependencies=OWN_FORM)
def choose_default(request: Request, session: Someone, chart: UUID) -> Response:
    """The chart that is shown first."""
    with platform_of(request).database.transaction() as connection:
        rows(connection, "page/lock_default_charts", user_id=session.user_id)
        do(connection, "page/unset_default_chart", **session.scope)
        hidden_one = rows(connection, "page/lock_default_charts", user_id=session.user_id)
        if hidden_one or not rows(connection, "page/set_default_chart", **session.scope, chart=chart):
            connection.rollback()
            return _settings(request, session, 409, "That chart cannot be your default at the moment.")
    return _go("/settings?done=chart")


@ROUTER.post("/settings/accounts/{identity}/prove", dependencies=OWN_FORM)
def prove_account(
    request: Request, session: Someone, identity: UUID, password: Annotated[str, Form()] = ""
) -> Response:
    """Prove another account of one's address: by its password, else by a link to the address."""
    if identity not in session.hidden:
        return _settings(request, session, 409, "That account is proved already, or is not one of yours.")
    if not password:
        return _mail_link(request, session, identity, "prove")
    platform = platform_of(request)
    try:
        platform.sign_in.prove_by_password(session, identity, password, client(request))
    except WrongError:
        return _settings(request, session, 401, "That is not the password of that account.")
    except limits.TooManyError as error:
        return _settings(request, session, 429, _wait(error))
    _proved(platform, session, "password")
    return _go("/settings?done=proved")


@ROUTER.post("/settings/accounts/{identity}/contest", dependencies=OWN_FORM)
def contest_account(request: Request, session: Someone, identity: UUID) -> Response:
    """Say that an account is somebody else's: decided by whoever reads the mail of the address that both typed."""
    with platform_of(request).database.autocommit() as connection:
        known = people.account_of(connection, session.user_id, identity)
    if known is None or identity == session.identity_id:
        return _settings(request, session, 409, "That account cannot be taken out from here.")
    return _mail_link(request, session, identity, "contest")


def _mail_link(request: Request, session: people.Session, identity: UUID, purpose: str) -> Response:
    """Send a link to the person's address that proves or contests an account: for who asked, once, for an hour."""
    platform = platform_of(request)
    if session.address is None:
        return _settings(request, session, 409, "There is no address that we could send a link to.")
    try:
        limits.claim(platform.database, limits.mail(session.user_id))
        claims = {
            "sub": str(session.user_id), "jti": str(uuid4()), "purpose": purpose, "account": str(identity),
            "holder": str(session.holder),
        }  # fmt: skip
        platform.ring.refresh()
        token = platform.ring.issue(LINK, platform.settings.url, claims, LINK_LIFETIME)
        with platform.database.transaction() as connection:
            account = people.account_of(connection, session.user_id, identity)
        application = APPLICATIONS.get(account["source"], "another application") if account else "another application"
        text = _TEMPLATES.get_template(f"{purpose}.txt").render(
            application=application, link=f"{platform.settings.url}/link?token={token}", support=SUPPORT
        )
        subject = "Is this account yours?" if purpose == "prove" else "Take an account out of yours?"
        mail.send(platform.settings.mail, session.address, subject, text)
    except limits.TooManyError as error:
        return _settings(request, session, 429, f"We have sent you links already. {_wait(error)}")
    except mail.MailError as error:
        LOG.warning("a link was not sent: %s", error)
        platform.metrics.mails.labels("failed").inc()
        return _settings(request, session, 503, "The mail could not be sent. Please try again later.")
    platform.metrics.mails.labels("sent").inc()
    return _go("/settings?done=mailed")


def _read_link(request: Request, session: people.Session | None, token: str) -> tuple[dict[str, Any], str | None]:
    """The claims of a link, and why it does not work for who follows it; None if it does."""
    try:
        claims = platform_of(request).ring.read(token, LINK, platform_of(request).settings.url)
    except TokenError:
        return {}, "This link does not work any more. Ask for a new one in your settings."
    if session is None:
        return claims, "Please sign in first, in this browser, as when you asked for the link. Then open it again."
    if claims["sub"] != str(session.user_id) or claims.get("holder") != str(session.holder):
        return claims, (
            "This link was asked for by somebody who had signed in with another account. If that was not you, do "
            "nothing: it has no effect."
        )
    return claims, None


@ROUTER.get("/link")
def link_page(request: Request, session: Anyone, token: str = "") -> Response:
    """What a link in a mail leads to. It asks first: programs follow links in mails, too."""
    claims, problem = _read_link(request, session, token)
    if problem or session is None:
        return show(request, "message.html", session, 400, title="Not yet", text=problem)
    with platform_of(request).database.autocommit() as connection:
        account = people.account_of(connection, session.user_id, UUID(claims["account"]))
    if account is None:
        text = "That account is not part of yours any more."
        return show(request, "message.html", session, 409, title="Nothing to do", text=text)
    return show(request, "link.html", session, token=token, purpose=claims["purpose"], account=account)


@ROUTER.post("/link", dependencies=OWN_FORM)
def follow_link(request: Request, session: Someone, token: Annotated[str, Form()] = "") -> Response:
    """Do what the link is for."""
    claims, problem = _read_link(request, session, token)
    if problem:
        return show(request, "message.html", session, 400, title="That did not work", text=problem)
    platform = platform_of(request)
    account, purpose = UUID(claims["account"]), claims["purpose"]
    try:
        with platform.database.transaction() as connection:
            used = row(
                connection, "token/use", digest=UUID(claims["jti"]).bytes,
                expires_at=datetime.fromtimestamp(claims["exp"]).astimezone(),
            )  # fmt: skip
            if used is None:
                raise people.RefusedError("This link was used already.")
            if people.account_of(connection, session.user_id, account) is None:
                raise people.RefusedError("That account is not part of yours any more.")
            if purpose == "prove":
                people.join(connection, user_id=session.user_id, holder=session.holder, identity_id=account, by="link")
            else:
                people.part(connection, user_id=session.user_id, identity_id=account)
    except people.RefusedError as error:
        return show(request, "message.html", session, 409, title="That did not work", text=error.why)
    _proved(platform, session, "link" if purpose == "prove" else "contest")
    return _go(f"/settings?done={'proved' if purpose == 'prove' else 'contested'}")


def _proved(platform: Platform, session: people.Session, by: str) -> None:
    action = "account_contested" if by == "contest" else "account_proved"
    with platform.database.transaction() as connection:
        people.log(connection, session.user_id, action, session.source, session.legacy_user_id)
    platform.metrics.proofs.labels(by).inc()


@ROUTER.post("/settings/delete", dependencies=OWN_FORM)
def delete_account(request: Request, session: Someone, confirm: Annotated[str, Form()] = "") -> Response:
    """Delete the person, for good."""
    if not _flags(request).get("account_deletion"):
        return _settings(request, session, 404, f"Accounts cannot be deleted here at the moment. Write to {SUPPORT}.")
    if confirm.strip().lower() != (session.address or "delete").lower():
        return _settings(request, session, 422, "To delete your account, type your address as it is shown.")
    try:
        with platform_of(request).database.transaction() as connection:
            people.delete(connection, session)
    except people.RefusedError as error:
        return _settings(request, session, 409, error.why)
    response = show(
        request, "message.html", None, title="Your account is deleted",
        text="Everything that was yours alone is gone. We are sorry to see you go.",
    )  # fmt: skip
    response.delete_cookie(SESSION_COOKIE, path="/", secure=True, httponly=True, samesite="lax")
    return response


def _day(value: date | datetime | None) -> str:
    return f"{value:%B} {value.day}, {value.year}" if value else "unknown"


_TEMPLATES.env.filters["day"] = _day
_TEMPLATES.env.filters["application"] = lambda source: ", ".join(
    APPLICATIONS.get(part, part) for part in (source or "Mula").split(", ")
)
_TEMPLATES.env.filters["activity"] = lambda action: ACTIVITIES.get(action, (action or "").replace("_", " "))
_TEMPLATES.env.filters["proof"] = lambda by: (
    f"{by.removeprefix('oauth: ').title()}, who vouched for your address"
    if by.startswith("oauth: ")
    else PROOFS.get(by, by)
)
