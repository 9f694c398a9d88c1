"""How many people at once the unified platform bears: ``python -m bench.platform``.

The demonstration's two applications, three times as large (some 12,300 people), are launched by mula_unification into a
PostgreSQL that waits for its disk, and the platform is served over them as ``./run platform serve`` does. Then so many
people at once come in with an old token, look at dashboard, periods, results, settings and shared results, now and then
save their notifications, and come in anew after some twelve clicks. Between two clicks of a person lie 1 s at least and
``--think`` s on average.

Clicks are planned beforehand, whatever the answers take (as wrk2 does): what a person waits counts from when they meant
to click, so a platform that falls behind is not asked less. *p50*, *p95*, *p99* are of that, in milliseconds, without
the first ``--think`` s of a step, in which people arrive. *errors* are answers of 400 and above, pages without what
belongs on them, what took longer than 10 s, and clicks that nobody came to within 10 s of the end. *cores* is how many
are busy with the platform, with PostgreSQL, with these people, and with anything else on the machine.

*alone*: each kind of click, one after the other, with nobody else there; milliseconds of waiting, and of CPU. What is
said of CPU holds beside other work, too.

*exchanges*: sixteen clients exchange one old token after the other, as fast as they are answered.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import jwt
import psutil
import psycopg

from bench.launches import Launches
from bench.server import temporary_server
from bench.window import PASSWORD
from demo import mula
from mula_platform import setup
from mula_platform.database import Database
from mula_platform.tokens import KeyRing
from stack.postgres import EmbeddedPostgres, free_port

# Seconds after which a person gives up on an answer.
_PATIENCE_S = 10.0
# Seconds until the platform answers at all.
_START_S = 60.0
_EXCHANGERS = 16
# Clicks of each kind, one after the other: those that warm it up, and those that count.
_ALONE = (30, 150)
# Clicks until a person comes in anew, on average.
_CLICKS = 12
# Shared links that are looked at: some are looked at by many at once.
_SHARED = 200
# The goals: milliseconds, and a share of answers.
_P95_MS, _ERRORS = 500.0, 0.01
# Below this share of what people meant to do, the platform has fallen behind.
_ANSWERED = 0.95
# What people click on, how often, and what the page must hold.
CLICKS = {
    "/": (40, "Your Personal Astrology Hub"),
    "/dasha": (12, "<h1>"),
    "/compatibility": (12, "<h1>"),
    "/settings": (15, "What we joined"),
    "/s/": (18, "<h1>"),
    "/settings/notifications": (3, "Your notifications are saved"),
}
HEAD = (
    f"{'people':>7} {'planned/s':>10} {'answered/s':>11} {'p50':>6} {'p95':>6} {'p99':>6} {'errors':>7}   "
    f"{'cores: platform':>15} {'postgres':>9} {'people':>7} {'else':>5}"
)


@dataclass
class World:
    """The platform that is measured, and what people need to come in."""

    url: str
    secrets: Mapping[str, str]
    accounts: list[tuple[str, str]]
    codes: list[str]
    server: psutil.Process
    postgres: psutil.Process

    def token(self) -> dict[str, str]:
        """The form that exchanges an old token of somebody, never the same twice."""
        source, number = random.choice(self.accounts)
        claims = {"user_id": int(number), "exp": int(time.time()) + 3_600, "jti": secrets.token_hex(8)}
        return {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token_type": f"urn:mula:{source}",
            "subject_token": jwt.encode(claims, self.secrets[source], algorithm="HS256"),
        }


@dataclass
class Step:
    """What happened while so many people were there. Milliseconds."""

    waits: list[float] = field(default_factory=list)
    planned: int = 0
    errors: Counter[str] = field(default_factory=Counter)


@contextmanager
def served(server: EmbeddedPostgres, scale: int) -> Iterator[World]:
    """The platform over so many times the demonstration's people, as it is deployed."""
    launches = Launches(server, "platform", mula.Size().times(scale))
    launches.launch("first")
    dsn = server.dsn(launches.names["unified"], setup.ROLE, PASSWORD)
    setup.prepare(launches.dsns["unified"], PASSWORD)
    old = {source: secrets.token_urlsafe(32) for source in ("dasha", "compatibility")}
    with psycopg.connect(launches.dsns["unified"], autocommit=True) as admin:
        admin.execute("vacuum (analyze)")
        accounts = admin.execute("select source, legacy_user_id from public.legacy_identities").fetchall()
        shared = "select share_code from public.compatibility_results where share_code is not null limit %s"
        codes = admin.execute(shared, (_SHARED,)).fetchall()
    with tempfile.TemporaryDirectory(prefix="cutover-bench-keys-") as folder:
        database = Database(dsn, 1)
        database.open()
        KeyRing(database, Path(folder)).rotate()
        database.close()
        port = free_port()
        environment = {
            **os.environ,
            **{f"CUTOVER_PLATFORM_{source.upper()}_SECRET": secret for source, secret in old.items()},
            "CUTOVER_PLATFORM_DSN": dsn,
            "CUTOVER_PLATFORM_KEYS": folder,
            "CUTOVER_PLATFORM_PORT": str(port),
        }
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "mula_platform", "serve"], env=environment, stdout=log, stderr=log
            )
            try:
                url = f"http://127.0.0.1:{port}"
                asyncio.run(_ready(url, process))
                print(f"{len(accounts):,} accounts; the platform answers at {url}", flush=True)
                with psycopg.connect(server.dsn()) as admin:
                    row = admin.execute("select pg_backend_pid()").fetchone()
                    postmaster = psutil.Process(row[0]).parent() if row else None
                assert postmaster is not None
                yield World(
                    url, old, [(str(s), str(n)) for s, n in accounts], [str(code) for (code,) in codes],
                    psutil.Process(process.pid), postmaster,
                )  # fmt: skip
            finally:
                process.terminate()
                process.wait(30)


async def _ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_S
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                async with session.get(f"{url}/readyz") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)
    raise SystemExit("the platform does not answer")


class Visitor:
    """One person: comes in, clicks, and comes in anew after a while."""

    def __init__(self, world: World, session: aiohttp.ClientSession, step: Step, think: float) -> None:
        self._world, self._session, self._step, self._think = world, session, step, think
        self._cookies: dict[str, str] = {}

    async def stay(self, begin: float, counted_from: float, end: float) -> None:
        """Click when that is due, from ``begin`` to ``end``; monotonic seconds."""
        due = begin
        while due < end:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            # a platform that is far behind is not waited for: what is still planned is lost
            is_lost = time.monotonic() > end + _PATIENCE_S
            name, fault = ("-", "never came to it") if is_lost else await self._click()
            if due >= counted_from:
                self._step.planned += 1
                self._step.waits.append((time.monotonic() - due) * 1_000)
                if fault:
                    self._step.errors[f"{name}: {fault}"] += 1
            due += 1.0 + random.expovariate(1 / (self._think - 1.0))

    async def _click(self) -> tuple[str, str | None]:
        if not self._cookies or random.random() < 1 / _CLICKS:
            return "/auth/exchange", await self.come_in()
        name = random.choices(list(CLICKS), [weight for weight, _ in CLICKS.values()])[0]
        return name, await self.look(name)

    async def look(self, name: str) -> str | None:
        """One click of that name by somebody who has come in; returns what was wrong with the answer."""
        try:
            return await self._look(name, CLICKS[name][1])
        except (aiohttp.ClientError, asyncio.TimeoutError) as error:
            return type(error).__name__

    async def come_in(self) -> str | None:
        """Exchange an old token; returns what was wrong with the answer."""
        try:
            async with self._session.post(f"{self._world.url}/auth/exchange", data=self._world.token()) as answer:
                document = await answer.json()
                if answer.status != 200:
                    return str(answer.status)
        except (aiohttp.ClientError, asyncio.TimeoutError) as error:
            return type(error).__name__
        self._cookies = {"__Host-mula": document["access_token"], "__Host-mula-form": "bench"}
        return None

    async def _look(self, name: str, expected: str) -> str | None:
        path = f"/s/{random.choice(self._world.codes)}" if name == "/s/" else name
        headers = {"cookie": "; ".join(f"{key}={value}" for key, value in self._cookies.items())}
        form = None
        if name == "/settings/notifications":
            form = {
                "form_key": "bench",
                "notifications_enabled": "1",
                "daily_reminder_time": "09:00",
                "timezone": "UTC",
            }
        async with self._session.request(
            "GET" if form is None else "POST", self._world.url + path, data=form, headers=headers
        ) as answer:
            page = await answer.text()
            # whose preferences are united with those of an account that is not proved cannot save them
            if answer.status == 409 and form is not None:
                return None
            return None if answer.status < 400 and expected in page else str(answer.status)


async def visit(world: World, people: int, seconds: float, think: float) -> Step:
    """Have so many people there for so long."""
    step = Step()
    # below the platform's own 5 s, so that nothing is sent on a connection that is being closed
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=4.0)
    timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=jar) as session:
        now = time.monotonic()
        await asyncio.gather(
            *(
                Visitor(world, session, step, think).stay(
                    now + think * number / people, now + think, now + think + seconds
                )
                for number in range(people)
            )
        )
    return step


async def exchange(world: World, seconds: float) -> Step:
    """Exchange tokens as fast as they are answered."""
    step = Step()
    timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        end = time.monotonic() + seconds

        async def on_and_on() -> None:
            while (began := time.monotonic()) < end:
                async with session.post(f"{world.url}/auth/exchange", data=world.token()) as answer:
                    await answer.read()
                    step.errors[str(answer.status)] += answer.status != 200
                step.waits.append((time.monotonic() - began) * 1_000)

        await asyncio.gather(*(on_and_on() for _ in range(_EXCHANGERS)))
    return step


async def alone(world: World) -> None:
    """Print what each kind of click takes when nothing else is asked."""
    print(f"{'alone':>24} {'ms':>7} {'platform':>9} {'postgres':>9}")
    timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
        visitors = [Visitor(world, session, Step(), 5.0) for _ in range(_ALONE[0])]
        for visitor in visitors:
            await visitor.come_in()

        async def each(name: str, rounds: int) -> None:
            for _ in range(rounds):
                visitor = random.choice(visitors)
                await (visitor.come_in() if name == "/auth/exchange" else visitor.look(name))

        for name in [*CLICKS, "/auth/exchange"]:
            await each(name, _ALONE[0])
            platform, postgres, began = _tree(world.server), _tree(world.postgres), time.monotonic()
            await each(name, _ALONE[1])
            seconds = (time.monotonic() - began, _tree(world.server) - platform, _tree(world.postgres) - postgres)
            wait, of_platform, of_postgres = (1_000 * spent / _ALONE[1] for spent in seconds)
            print(f"{name:>24} {wait:>7.1f} {of_platform:>9.1f} {of_postgres:>9.1f}", flush=True)


class Cores:
    """How many cores are busy, and with what, since it was made."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._began = time.monotonic()
        self._before = self._spent()

    def busy(self) -> tuple[float, ...]:
        """The platform's, PostgreSQL's, our own, and everybody else's."""
        seconds = time.monotonic() - self._began
        spent = [(now - then) / seconds for now, then in zip(self._spent(), self._before, strict=True)]
        return *spent[:3], max(0.0, spent[3] - sum(spent[:3]))

    def _spent(self) -> list[float]:
        times = psutil.cpu_times()
        whole = sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)
        own = psutil.Process().cpu_times()
        return [_tree(self._world.server), _tree(self._world.postgres), own.user + own.system, whole]


def _tree(process: psutil.Process) -> float:
    """CPU seconds of a process and its children, those that have ended included."""
    spent = 0.0
    for each in [process, *process.children(recursive=True)]:
        try:
            times = each.cpu_times()
        except psutil.NoSuchProcess:
            continue
        spent += times.user + times.system
    ended = process.cpu_times()
    return spent + getattr(ended, "children_user", 0.0) + getattr(ended, "children_system", 0.0)


def percentile(waits: list[float], percent: int) -> float:
    """Milliseconds that so many per cent waited at most."""
    return statistics.quantiles(waits, n=100)[percent - 1] if len(waits) > 1 else float("nan")


def measure(world: World, people: list[int], seconds: float, think: float) -> None:
    """Print a line for each number of people, where it bends, and the exchanges."""
    asyncio.run(alone(world))
    print(f"\n{HEAD}")
    bends = None
    for number in people:
        cores = Cores(world)
        began = time.monotonic()
        step = asyncio.run(visit(world, number, seconds, think))
        # without the time in which they came in; what is answered after the end counts, and takes its time
        took = time.monotonic() - began - think
        busy = cores.busy()
        wrong = sum(step.errors.values())
        answered = len(step.waits) - step.errors["-: never came to it"]
        p50, p95, p99 = (percentile(step.waits, percent) for percent in (50, 95, 99))
        print(
            f"{number:>7,} {step.planned / seconds:>10.1f} {answered / took:>11.1f} {p50:>6.0f} {p95:>6.0f} "
            f"{p99:>6.0f} {wrong / max(len(step.waits), 1):>7.2%}   "
            f"{busy[0]:>15.2f} {busy[1]:>9.2f} {busy[2]:>7.2f} {busy[3]:>5.2f}",
            flush=True,
        )
        for fault, count in step.errors.most_common(3):
            print(f"        {count:,} × {fault}")
        if bends is None and (
            p95 >= _P95_MS or wrong >= _ERRORS * len(step.waits) or answered / took < _ANSWERED * step.planned / seconds
        ):
            bends = number
    goal = f"p95 below {_P95_MS:.0f} ms, errors below {_ERRORS:.0%}"
    print(f"{goal}: no more at {bends:,} people" if bends else f"{goal}: up to {people[-1]:,} people")
    step = asyncio.run(exchange(world, seconds))
    print(
        f"exchanges: {len(step.waits) / seconds:.0f} a second, p95 {percentile(step.waits, 95):.0f} ms, "
        f"{sum(step.errors.values())} errors"
    )


def counts(text: str) -> list[int]:
    """``50,100`` as numbers."""
    return [int(part) for part in text.split(",")]


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="./run bench platform", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--people", type=counts, default=counts("50,100,200,300,500,750,1000"), metavar="N,N", help="people at once"
    )
    parser.add_argument("--seconds", type=float, default=30.0, metavar="S", help="length of a step, at most 300")
    parser.add_argument("--think", type=float, default=5.0, metavar="S", help="between two clicks; more than 1")
    parser.add_argument("--scale", type=int, default=3, metavar="N", help="times the demonstration's 4,400 sign-ups")
    chosen = parser.parse_args(arguments)
    if not 1 <= chosen.seconds <= 300 or not 1 < chosen.think <= 60 or max(chosen.people) > 5_000:
        parser.error("--seconds 1 to 300, --think above 1 to 60, at most 5,000 people")
    with temporary_server(durable=True) as server, served(server, chosen.scale) as world:
        measure(world, chosen.people, chosen.seconds, chosen.think)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
