"""A sender that is killed at random moments: nobody is told twice, and nobody is forgotten without its showing.

``CUTOVER_ANNOUNCE_KILLS`` says how often (default 20).
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from demo.simulators.messages import Fcm, MailServer

from .world import World

PEOPLE = 500
KILLS = int(os.environ.get("CUTOVER_ANNOUNCE_KILLS", "20"))


@pytest.mark.timeout(120 + 5 * KILLS)
def test_nobody_is_told_twice_whatever_is_killed_and_everybody_is_accounted_for(
    world: World, mail: MailServer, fcm: Fcm, repository: Path, tmp_path: Path
) -> None:
    world.people(PEOPLE)
    world.execute("insert into user_preferences (user_id, email_enabled) select id, false from users limit 10")
    world.preview("run", rates={"email": 400.0, "push": 400.0})
    world.approve("run")
    mail.latency_s = fcm.latency_s = 0.002
    key_file = tmp_path / "key.json"
    key_file.write_text(fcm.service_account)
    paths = os.pathsep.join(str(repository / name) for name in ("plugins", "include", "."))
    chance = random.Random()
    senders = subprocess.Popen(
        [sys.executable, "-m", "tests.announce.killable", world.dsn, "run", str(mail.port), fcm.url, str(key_file)],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": paths},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert senders.stdin is not None and senders.stdout is not None
    for left in range(KILLS, -1, -1):
        senders.stdin.write("go\n")
        senders.stdin.flush()
        sender = int(senders.stdout.readline())
        if left:
            # a random number of messages further on, at a random moment in the next one
            goal = mail.attempts + fcm.attempts + chance.randrange(1, 2 * PEOPLE // (KILLS + 1))
            until = time.monotonic() + 20
            while mail.attempts + fcm.attempts < goal and time.monotonic() < until:
                time.sleep(0.0005)
            time.sleep(chance.random() * 0.01)
            os.kill(sender, signal.SIGKILL)
        assert int(senders.stdout.readline()) == (-signal.SIGKILL if left else 0)
    senders.stdin.close()
    assert senders.wait(20) == 0

    assert max(mail.taken.values()) == max(fcm.taken.values()) == 1, "somebody was told twice"
    for channel, taken in (("email", mail.taken), ("push", fcm.taken)):
        states = world.states(channel)
        assert set(states) <= {"sent", "skipped", "unknown"}
        assert sum(states.values()) == PEOPLE
        assert states["skipped"] == (10 if channel == "email" else 0)
        # whoever is unknown may have been told, and nobody else was
        assert states["sent"] <= sum(taken.values()) <= states["sent"] + states["unknown"]
    report = world.value("select result -> 'counts' from cutover.phase where step = 'send'")
    assert sum(one["people"] for one in report) == 2 * PEOPLE
    unknown = sum(world.states(channel)["unknown"] for channel in ("email", "push"))
    assert world.value("select count(*) from cutover.audience") == unknown, "who has been told is not kept"
