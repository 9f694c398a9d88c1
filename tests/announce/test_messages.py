"""The files that say what goes out: read, filled in, refused."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from cutover.announce import message
from cutover.announce.message import Window, for_person, parse
from cutover.database.statements import files
from cutover.errors import CutoverError

WINDOW = Window(datetime(2025, 12, 6, 4, tzinfo=timezone.utc), timedelta(minutes=60))
GOOD = """---
subject: "At {opens}"
push: "Soon"
channels: [email, push]
audience: before
when: 15m before opening
---
Hi {name}, from {opens} to {ends}.
"""


def test_every_message_of_this_deployment_is_good_and_its_audience_is_there() -> None:
    announcements = message.declared()
    assert announcements == {"mula_unification": ["maintenance", "taken_back", "upgrade", "welcome"]}
    for migration, campaigns in announcements.items():
        for campaign in campaigns:
            announcement = message.read(migration, campaign)
            assert files(f"{migration}/announce", f"{announcement.audience}.sql")
            filled = announcement.filled(WINDOW)
            left = message.placeholders(*(text or "" for text in filled.values()))
            assert left <= {"name"}


def test_the_windows_own_times_are_filled_in() -> None:
    announcement = message.read("mula_unification", "upgrade").filled(WINDOW)
    assert announcement["subject"] == "Mula Platform Upgrade - Saturday, 6 December 2025 at 04:00 UTC"
    assert "- Saturday, 6 December 2025, 04:00-05:00 UTC" in str(announcement["text"])
    maintenance = message.read("mula_unification", "maintenance")
    assert maintenance.due_at(WINDOW) == datetime(2025, 12, 6, 3, 45, tzinfo=timezone.utc)


def test_a_name_is_a_name() -> None:
    assert for_person("Hi {name},", "Ana-María O'Neil") == "Hi Ana-María O'Neil,"
    assert for_person("Hi {name},", None) == for_person("Hi {name},", "  ") == "Hi there,"
    assert for_person("Hi {name},", "[win](https://evil.example)\n<b>{name}") == "Hi winhttpsevil.examplebname,"


@pytest.mark.parametrize(
    ("changed", "to", "said"),
    [
        ("channels: [email, push]", "channels: [fax]", "channels.0"),
        ("channels: [email, push]", "channels: []", "channels"),
        ("when: 15m before opening", "when: soon", "when"),
        ("Hi {name}", "Hi {nmae}", "nobody fills in nmae"),
        ('push: "Soon"\n', "", "`push` does not say"),
        ("audience: before", "audiance: before", "aud"),
        ("---\nsubject", "subject", "block of keys"),
        ('subject: "At {opens}"', 'subject: "At', "not YAML"),
    ],
)
def test_a_file_that_is_wrong_is_refused_and_says_where(changed: str, to: str, said: str) -> None:
    assert parse(GOOD, "c", "f").channels == ("email", "push")
    with pytest.raises(CutoverError, match=r"announce\.bad-message") as error:
        parse(GOOD.replace(changed, to, 1), "c", "f")
    assert said in str(error.value)


def test_a_campaign_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(CutoverError, match=r"announce\.no-campaign.*") as error:
        message.read("mula_unification", "welcme")
    assert "maintenance, taken_back, upgrade, welcome" in str(error.value)
