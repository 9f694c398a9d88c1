"""A campaign's message: ``include/announcements/<migration>/<campaign>.md``, read into types and filled in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, ValidationError

from cutover.database import statements as files
from cutover.errors import CutoverError
from cutover.migration.source import Declared, Name, Span

ChannelName = Literal["email", "push"]

_FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n(.*)\Z", re.DOTALL)
_PLACEHOLDER = re.compile(r"\{([a-z_]*)\}")
_BEFORE = re.compile(r"^(\w+) before opening$")
# Filled in for each person; all the others are the window's and the same for everybody.
NAME = "name"
# What a person without a name is called.
NOBODY = "there"


@dataclass(frozen=True)
class Window:
    """The maintenance window that a message speaks of."""

    opens: datetime
    length: timedelta

    @property
    def ends(self) -> datetime:
        """When it is over at the latest."""
        return self.opens + self.length

    def values(self) -> dict[str, str]:
        """Placeholder → its text, in UTC."""
        opens, ends = (moment.astimezone(timezone.utc) for moment in (self.opens, self.ends))
        return {
            "weekday": f"{opens:%A}",
            "date": f"{opens.day} {opens:%B %Y}",
            "opens": f"{opens:%H:%M}",
            "ends": f"{ends:%H:%M}",
            "minutes": f"{self.length / timedelta(minutes=1):.0f}",
        }


class BeforeOpening(Declared):
    """Sent so long before the window opens."""

    span: Span


def _when(given: object) -> object:
    """``15m before opening`` as its type; ``approval`` and ``swap`` as they are."""
    match = _BEFORE.match(given) if isinstance(given, str) else None
    return BeforeOpening.model_validate({"span": match.group(1)}) if match else given


class Message(Declared):
    """One campaign, as its file says. ``text`` is Markdown."""

    campaign: Name
    subject: str = Field(min_length=1, max_length=200)
    # what a device shows below the subject
    push: str | None = Field(default=None, max_length=240)
    channels: tuple[ChannelName, ...] = Field(min_length=1)
    # include/sql/<migration>/announce/<audience>.sql
    audience: Name
    # approval: as soon as it is approved. swap: the same, and only while a launch is in force
    when: Annotated[Literal["approval", "swap"] | BeforeOpening, BeforeValidator(_when)]
    text: str = Field(min_length=1)

    @property
    def needs_window(self) -> bool:
        """Whether it speaks of a window's times."""
        if isinstance(self.when, BeforeOpening):
            return True
        return bool(placeholders(self.subject, self.push or "", self.text) - {NAME})

    def filled(self, window: Window | None) -> dict[str, str | None]:
        """Subject, push and text with the window's times; the person's name is left to fill in."""
        values = window.values() if window else {}
        return {
            "subject": _fill(self.subject, values),
            "push": None if self.push is None else _fill(self.push, values),
            "text": _fill(self.text, values),
        }

    def due_at(self, window: Window | None) -> datetime | None:
        """When it is to be sent; None: as soon as it is approved."""
        return window.opens - self.when.span if window and isinstance(self.when, BeforeOpening) else None


def declared() -> dict[str, list[str]]:
    """Migration → its campaigns, by the names of their files; of migrations that have any."""
    campaigns: dict[str, list[str]] = {}
    for path in sorted((files.include_root() / "announcements").glob("*/*.md")):
        campaigns.setdefault(path.parent.name, []).append(path.stem)
    return campaigns


def read(migration: str, campaign: str) -> Message:
    """The message of a campaign. Raises ``announce.no-campaign``, ``announce.bad-message``."""
    known = declared().get(migration, [])
    path = f"announcements/{migration}/{campaign}.md"
    if campaign not in known:
        raise CutoverError(
            "announce.no-campaign",
            f"campaign {campaign} of {migration}",
            f"there is no file include/{path}; there are {', '.join(known) or 'none'}.",
            "name one of those, or add the file.",
        )
    return parse((files.include_root() / path).read_text(encoding="utf-8"), campaign, f"include/{path}")


def parse(text: str, campaign: str, path: str) -> Message:
    """The message that a file's text says. Raises ``announce.bad-message``, which names the key that is wrong."""
    match = _FRONT_MATTER.match(text)
    if match is None:
        raise _bad(path, "it does not begin with a block of keys between two lines of three dashes.")
    try:
        fields: Any = yaml.safe_load(match.group(1))
        message = Message.model_validate({"campaign": campaign, "text": match.group(2).strip(), **fields})
    except (yaml.YAMLError, TypeError) as error:
        raise _bad(path, f"its keys are not YAML: {error}.") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise _bad(path, f"{'.'.join(map(str, first['loc']))}: {first['msg']}.") from None
    known = {NAME, *Window(datetime(2000, 1, 1, tzinfo=timezone.utc), timedelta()).values()}
    unknown = placeholders(message.subject, message.push or "", message.text) - known
    if unknown:
        raise _bad(path, f"nobody fills in {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}.")
    if "push" in message.channels and not message.push:
        raise _bad(path, "it goes to devices, and `push` does not say what they show.")
    return message


def placeholders(*texts: str) -> set[str]:
    """The names of all placeholders in texts."""
    return {name for text in texts for name in _PLACEHOLDER.findall(text)}


def for_person(text: str, name: str | None) -> str:
    """A filled text with the person's name in it. A name is text: it brings no line, link or placeholder of its own."""
    plain = re.sub(r"[^\w .'-]", "", name or "").strip()[:40]
    return text.replace(f"{{{NAME}}}", plain or NOBODY)


def as_html(text: str) -> str:
    """A text's Markdown as HTML; what looks like HTML in it is text."""
    from markdown_it import MarkdownIt

    return str(MarkdownIt("commonmark", {"html": False, "linkify": False}).render(text))


def _fill(text: str, values: dict[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda match: values.get(match.group(1), match.group(0)), text)


def _bad(path: str, why: str) -> CutoverError:
    return CutoverError("announce.bad-message", path, why, "correct the file; docs/announcements.md lists its keys.")
