"""Who must approve a launch where one person is not enough: what ``migration.yaml`` declares, and what answers come to.

A role needs one answer. Whoever answers counts once, for one role, and so does whomever they answer for: no name stands
twice among the answers that count.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from typing import Annotated

from pydantic import BeforeValidator, Field

from cutover.errors import meant
from cutover.migration.lines import Path
from cutover.migration.source import Declared, Name

_MOMENT = "a day such as 2026-12-24, or a moment with its zone, such as 2026-12-24 18:00:00+01:00"


def _end(value: object) -> object:
    """A moment with its zone. A day alone lasts until its end in UTC."""
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            return value
    elif isinstance(value, date) and value < date.max:
        return datetime.combine(value, time(), timezone.utc) + timedelta(days=1)
    raise ValueError(f"it should be {_MOMENT}")


# The name of an account, as Airflow has it.
Account = Annotated[str, Field(min_length=1)]


class Delegation(Declared):
    """That somebody may answer for somebody else until a moment, in one ``role`` of theirs or in any."""

    of: Account
    to: Account
    until: Annotated[datetime, BeforeValidator(_end)]
    role: Name | None = None


@dataclass(frozen=True)
class Yes:
    """An approval: who has given it and when, and for whom, if not for themselves."""

    approval_id: int
    person: str
    answers_for: str | None
    decided_at: datetime

    @property
    def names(self) -> set[str]:
        """Whoever has counted with it."""
        return {self.person, self.answers_for or self.person}

    @property
    def words(self) -> str:
        """Such as ``bob for alice``."""
        return in_person(self.person, self.answers_for)


@dataclass(frozen=True)
class Count:
    """What approvals come to. ``by_role``: each role with the one that counts for it; ``beside``: all others that count
    for none. ``needed`` is how many there have to be in all."""

    needed: int
    by_role: tuple[tuple[str, Yes | None], ...]
    beside: tuple[Yes, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """The roles of which nobody has answered."""
        return tuple(role for role, yes in self.by_role if yes is None)

    @property
    def more(self) -> int:
        """How many answers are missing beside those of the roles."""
        return max(0, self.needed - len(self.by_role) - len(self.beside))

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing and not self.more

    @property
    def words(self) -> str:
        """Such as ``1 of 2: engineering yes (alice), support missing``."""
        parts = [f"{role} yes ({yes.words})" if yes else f"{role} missing" for role, yes in self.by_role]
        parts += [f"yes ({yes.words})" for yes in self.beside]
        parts += [f"{self.more}{' more' if parts else ''} missing"] if self.more else []
        return f"{self.needed - len(self.missing) - self.more} of {self.needed}: {', '.join(parts)}"

    @property
    def approved_by(self) -> str:
        """Everybody who counts, with their role, as the ledger names them."""
        of_roles = [f"{yes.words} ({role})" for role, yes in self.by_role if yes]
        return ", ".join([*of_roles, *(yes.words for yes in self.beside)])


@dataclass(frozen=True)
class Quorum:
    """How many have to approve a launch, one of them of each role; ``roles``: role → the accounts that have it.

    Without roles whoever is named as an approver of the deployment counts.
    """

    needed: int
    roles: Mapping[str, Sequence[str]]
    delegations: Sequence[Delegation] = ()

    @property
    def words(self) -> str:
        """What is needed, in a sentence."""
        if not self.roles:
            return f"{answers(self.needed)} of different people."
        listed = ", ".join(f"{role} ({' or '.join(people)})" for role, people in self.roles.items())
        return f"{answers(self.needed)} of different people, one of each role: {listed}."

    def people(self) -> list[str]:
        """Everybody who has a role, once."""
        return list(dict.fromkeys(person for people in self.roles.values() for person in people))

    def may_answer(self, account: str, at: datetime) -> bool:
        """Whether an answer of an account can count at a moment, for themselves or for somebody else."""
        return not self.roles or account in self.people() or bool(self.stands_for(account, at))

    def stands_for(self, account: str, at: datetime) -> list[str]:
        """For whom an account may answer at a moment."""
        return list(dict.fromkeys(one.of for one in self.delegations if one.to == account and one.until > at))

    def delegated(self, at: datetime) -> list[str]:
        """Everybody for whom somebody else may answer at a moment."""
        return list(dict.fromkeys(one.of for one in self.delegations if one.until > at))

    def roles_of(self, person: str, answers_for: str | None, at: datetime) -> list[str]:
        """The roles for which an answer of a moment may count."""
        own = [role for role, people in self.roles.items() if (answers_for or person) in people]
        if answers_for is None:
            return own
        of_theirs = [one for one in self.delegations if (one.of, one.to) == (answers_for, person) and one.until > at]
        return [role for role in own if any(one.role in (None, role) for one in of_theirs)]

    def count(self, approvals: Iterable[Yes]) -> Count:
        """What approvals come to, whichever way round they fill most roles. The first of a name counts."""
        counted: list[Yes] = []
        names: set[str] = set()
        for yes in approvals:
            may = not self.roles and yes.answers_for is None
            if (may or self._roles_of(yes)) and not names & yes.names:
                counted.append(yes)
                names |= yes.names
        able = {role: [yes for yes in counted if role in self._roles_of(yes)] for role in self.roles}
        filled = _matched(able)
        taken = [yes.approval_id for yes in filled.values()]
        beside = tuple(yes for yes in counted if yes.approval_id not in taken)
        return Count(self.needed, tuple((role, filled.get(role)) for role in self.roles), beside)

    def can_be_met(self, accounts: Collection[str], at: datetime, but: str | None = None) -> bool:
        """Whether these accounts, beginning at a moment, could give all that is needed, without whoever is ``but``."""
        if not self.roles:
            return len(set(accounts) - {but}) >= self.needed
        possible = [
            Yes(number, person, answers_for, at)
            for number, (person, answers_for) in enumerate(
                (person, answers_for)
                for person in dict.fromkeys(accounts)
                for answers_for in (None, *self.stands_for(person, at))
                if but is None or but not in (person, answers_for)
            )
        ]
        able = [one for one in possible if self.roles_of(one.person, one.answers_for, at)]
        return self._fits(list(self.roles), self.needed - len(self.roles), able)

    def _fits(self, roles: Sequence[str], more: int, able: Sequence[Yes]) -> bool:
        """Whether the roles, and so many ``more``, can be filled by those who are ``able`` without a name twice."""
        # not only sooner: to try everybody in every order may take for ever
        if len({yes.person for yes in able}) < len(roles) + more:
            return False
        if not roles:
            return more <= 0 or any(self._fits((), more - 1, _without(able[at:], yes)) for at, yes in enumerate(able))
        candidates = {role: [yes for yes in able if role in self._roles_of(yes)] for role in roles}
        scarce = min(roles, key=lambda role: len(candidates[role]))
        rest = [role for role in roles if role != scarce]
        return any(self._fits(rest, more, _without(able, yes)) for yes in candidates[scarce])

    def _roles_of(self, yes: Yes) -> list[str]:
        return self.roles_of(yes.person, yes.answers_for, yes.decided_at)


def answers(number: int) -> str:
    """So many answers, in words."""
    return f"{number} answer" if number == 1 else f"{number} answers"


def in_person(person: str, answers_for: str | None) -> str:
    """Who has answered, and for whom: ``bob for alice``."""
    return f"{person} for {answers_for}" if answers_for else person


def of_keys(needed: int | None, roles: Mapping[str, Sequence[str]], delegations: Sequence[Delegation]) -> Quorum | None:
    """What a declaration needs; None if it says nothing, so that one answer is enough."""
    if needed is None and not roles:
        return None
    return Quorum(len(roles) if needed is None else needed, roles, delegations)


def fault(
    needed: int | None, roles: Mapping[str, Sequence[str]], delegations: Sequence[Delegation]
) -> tuple[Path, str] | None:
    """The first thing that cannot be so, whoever answers: where it stands, and a sentence."""
    for role, people in roles.items():
        for at, person in enumerate(people):
            if person in people[:at]:
                return ("approvers", role, at), f"{person!r} stands twice in the role, and counts once."
    for at, one in enumerate(delegations):
        if (wrong := _wrong(one, roles)) is not None:
            key, why = wrong
            return ("delegations", at, key), why
    everybody = {person for people in roles.values() for person in people}
    if stuck := _stuck(roles):
        those = sorted({person for role in stuck for person in roles[role]})
        return (
            ("approvers", stuck[0]),
            f"a person counts for one role, and {_and(stuck)} have only {_and(those)}: one of them stays empty.",
        )
    if needed is not None and needed < len(roles):
        why = f"it is {needed}, and each of {len(roles)} roles needs an answer of its own: a person counts for one."
        return ("approvals_needed",), why
    if needed is not None and roles and needed > len(everybody):
        why = f"it is {needed}, and under `approvers` there are only {len(everybody)} people: nobody counts twice."
        return ("approvals_needed",), why
    return None


def _wrong(one: Delegation, roles: Mapping[str, Sequence[str]]) -> tuple[str, str] | None:
    """Which key of a delegation cannot be so, and why."""
    everybody = {person for people in roles.values() for person in people}
    if one.of not in everybody:
        return "of", f"{one.of!r} has no role under `approvers`, and so nothing to delegate.{meant(one.of, everybody)}"
    if one.to == one.of:
        return "to", f"it is {one.to!r}, too: nobody answers for themselves."
    if one.role is not None and one.role not in roles:
        there = f"there {'are' if len(roles) > 1 else 'is'} {', '.join(roles)}"
        return "role", f"{one.role!r} is no role under `approvers`: {there}.{meant(one.role, roles)}"
    if one.role is not None and one.of not in roles[one.role]:
        return "role", f"{one.of!r} does not have the role {one.role!r}."
    return None


def _without(possible: Iterable[Yes], yes: Yes) -> list[Yes]:
    """Those that name nobody whom an answer names."""
    return [one for one in possible if not one.names & yes.names]


def _matched(able: Mapping[str, Sequence[Yes]]) -> dict[str, Yes]:
    """Role → an answer that is able to count for it, each answer once and as many roles as there can be."""
    holds: dict[int, str] = {}
    answer = {yes.approval_id: yes for those in able.values() for yes in those}

    def find(role: str, tried: set[int]) -> bool:
        for yes in able[role]:
            if yes.approval_id not in tried:
                tried.add(yes.approval_id)
                if yes.approval_id not in holds or find(holds[yes.approval_id], tried):
                    holds[yes.approval_id] = role
                    return True
        return False

    for role in able:
        find(role, set())
    return {role: answer[number] for number, role in holds.items()}


def _stuck(roles: Mapping[str, Sequence[str]]) -> list[str]:
    """Roles that have fewer people between them than they are, as few of them as are found; empty if there are none."""
    numbers = {person: number for number, person in enumerate(sorted({p for people in roles.values() for p in people}))}
    moment = datetime.now(timezone.utc)
    able = {role: [Yes(numbers[person], person, None, moment) for person in people] for role, people in roles.items()}
    filled = _matched(able)
    for role in roles:
        if role in filled:
            continue
        # whoever could count for it counts for these, which have nobody else either
        among, people = [role], set(roles[role])
        for other in (one for _ in roles for one in filled if filled[one].person in people):
            if other not in among:
                among.append(other)
                people |= set(roles[other])
        return among
    return []


def _and(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if names[1:] else names[0]
