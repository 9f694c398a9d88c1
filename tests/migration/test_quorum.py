"""What answers come to: a role each, nobody twice, and whichever way round fills most."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from cutover.errors import CutoverError
from cutover.migration import parse
from cutover.migration.quorum import Quorum, Yes

NOW = datetime(2026, 12, 1, tzinfo=timezone.utc)
ROLES = "approvers: {engineering: [alice, bob], support: [alice, carol]}\n"
THREE = f"{ROLES}approvals_needed: 3"


def declared(text: str) -> Quorum:
    """What a declaration needs."""
    needed = parse(f"migration: shop\n{text}", "shop").quorum
    assert needed is not None
    return needed


def given(*names: str, at: datetime = NOW) -> list[Yes]:
    """Approvals of these people, in this order; ``bob for alice``."""
    pairs = [name.partition(" for ") for name in names]
    return [Yes(number, person, of or None, at) for number, (person, _, of) in enumerate(pairs)]


def test_nothing_declared_is_one_answer_of_anybody() -> None:
    assert parse("migration: shop\n", "shop").quorum is None
    assert declared("approvals_needed: 1\n").count(given("x")).is_complete, "said so, it offers the third answer"


@pytest.mark.parametrize(
    ("text", "names", "words"),
    [
        ("approvals_needed: 2", (), "0 of 2: 2 missing"),
        ("approvals_needed: 2", ("ann",), "1 of 2: yes (ann), 1 more missing"),
        ("approvals_needed: 2", ("ann", "ann"), "1 of 2: yes (ann), 1 more missing"),
        ("approvals_needed: 2", ("ann", "ben"), "2 of 2: yes (ann), yes (ben)"),
        # without roles there is nothing to delegate
        ("approvals_needed: 2", ("ann", "ben for cid"), "1 of 2: yes (ann), 1 more missing"),
        (ROLES, ("alice",), "1 of 2: engineering yes (alice), support missing"),
        # she has two roles, and counts for the one that nobody else fills
        (ROLES, ("alice", "bob"), "2 of 2: engineering yes (bob), support yes (alice)"),
        (ROLES, ("carol", "alice"), "2 of 2: engineering yes (alice), support yes (carol)"),
        (ROLES, ("alice", "alice"), "1 of 2: engineering yes (alice), support missing"),
        (ROLES, ("bob", "mallory"), "1 of 2: engineering yes (bob), support missing"),
        (THREE, ("bob", "carol"), "2 of 3: engineering yes (bob), support yes (carol), 1 more missing"),
        (THREE, ("bob", "alice", "carol"), "3 of 3: engineering yes (bob), support yes (alice), yes (carol)"),
        # a second one of a role does not stand for another role
        ("approvers: {a: [x, y], b: [z]}", ("x", "y"), "1 of 2: a yes (x), b missing, yes (y)"),
    ],
)  # fmt: skip
def test_what_answers_come_to(text: str, names: tuple[str, ...], words: str) -> None:
    come_to = declared(text).count(given(*names))
    assert come_to.words == words
    assert come_to.is_complete == ("missing" not in words)


NONE = "0 of 2: engineering missing, support missing"
BY_DORA = "1 of 2: engineering missing, support yes (dora for alice)"
DELEGATED = (
    "approvers: {engineering: [alice, bob], support: [carol, alice]}\ndelegations:\n"
    "  - {of: alice, to: dora, until: 2026-12-24, role: support}\n"
    "  - {of: carol, to: bob, until: 2026-12-24T18:00:00+01:00}\n"
)


@pytest.mark.parametrize(
    ("names", "at", "words"),
    [
        (("dora for alice",), NOW, BY_DORA),
        # not for herself, not for others, not for the other role, not afterwards
        (("dora",), NOW, NONE),
        (("dora for carol",), NOW, NONE),
        (("dora for alice", "carol"), NOW, "1 of 2: engineering missing, support yes (dora for alice), yes (carol)"),
        (("dora for alice",), NOW + timedelta(days=24), NONE),
        (("dora for alice",), NOW + timedelta(days=23, hours=23), BY_DORA),
        (("bob for carol",), NOW + timedelta(days=23, hours=17), NONE),
        # nobody counts twice: as themselves, for somebody, or answered for
        (("bob for carol", "bob"), NOW, "1 of 2: engineering missing, support yes (bob for carol)"),
        (("bob for carol", "carol"), NOW, "1 of 2: engineering missing, support yes (bob for carol)"),
        (("dora for alice", "alice"), NOW, BY_DORA),
        (("bob for carol", "alice"), NOW, "2 of 2: engineering yes (alice), support yes (bob for carol)"),
    ],
)  # fmt: skip
def test_who_may_answer_for_whom(names: tuple[str, ...], at: datetime, words: str) -> None:
    assert declared(DELEGATED).count(given(*names, at=at)).words == words


@pytest.mark.parametrize(
    ("text", "accounts", "but", "can"),
    [
        ("approvals_needed: 2", ["a", "b"], None, True),
        ("approvals_needed: 2", ["a", "b"], "b", False),
        (ROLES, ["alice", "bob"], None, True),
        (ROLES, ["alice"], None, False),
        (ROLES, ["bob", "x"], None, False),
        (THREE, ["alice", "bob", "carol"], None, True),
        (THREE, ["alice", "bob", "x"], None, False),
        (DELEGATED, ["alice", "bob"], None, True),
        # alice has triggered it: nor may dora answer for her
        (DELEGATED, ["bob", "dora"], "alice", False),
        (DELEGATED, ["bob", "carol"], "alice", True),
        (DELEGATED, ["bob", "dora"], None, True),
    ],
)
def test_whether_enough_people_are_there(text: str, accounts: list[str], but: str | None, can: bool) -> None:
    assert declared(text).can_be_met(accounts, NOW, but=but) is can


def test_whether_enough_of_many_people_are_there_is_known_at_once() -> None:
    """Trying everybody in every order would take for ever."""
    people = [f"p{number}" for number in range(30)]
    listed = ", ".join(people[1:])
    everybody = declared(f"approvers: {{all: [p0, {listed}]}}\napprovals_needed: 30")
    assert everybody.can_be_met(people, NOW) and not everybody.can_be_met(people, NOW, but="p0")
    last = declared(
        f"approvers: {{a: [{listed}], b: [{listed}], c: [{listed}], d: [{listed}], e: [{listed}], f: [p0]}}"
    )
    assert last.can_be_met(people, NOW) and not last.can_be_met(people, NOW, but="p0")


PEOPLE = "approvers: {aa: [ann, ben], bb: [cid]}\n"


@pytest.mark.parametrize(
    ("text", "where", "why"),
    [
        ("approvals_needed: 0", "line 2, approvals_needed", "greater than or equal to 1"),
        ("approvals_needed: true", "line 2, approvals_needed", "whole number"),
        ("approvers:\n  aa: [ann]\n  bb: []", "line 4, approvers.bb", "an empty list"),
        ("approvers:\n  aa: [ann]\n  bb:", "line 4, approvers.bb", "it is empty"),
        ("approvers:\n  aa: [ann, ann]", "line 3, approvers.aa.1", "'ann' stands twice"),
        ("approvers:\n  aa: [ann]\n  bb: [ann]", "line 4, approvers.bb", "bb and aa have only ann"),
        ("approvers: {aa: [x, y], bb: [x], cc: [y]}", "line 2, approvers.cc", "have only x and y"),
        (f"{PEOPLE}approvals_needed: 4", "line 3, approvals_needed", "only 3 people"),
        (f"{PEOPLE}approvals_needed: 1", "line 3, approvals_needed", "each of 2 roles needs an answer"),
        (f"{PEOPLE}delegations: [{{of: bem, to: x, until: 2030-01-01}}]", "delegations.0.of", "Did you mean `ben`"),
        (f"{PEOPLE}delegations: [{{of: ben, to: ben, until: 2030-01-01}}]", "delegations.0.to", "for themselves"),
        (f"{PEOPLE}delegations: [{{of: ben, to: x, until: 2030-01-01, role: ba}}]", "delegations.0.role", "is no role"),
        (
            f"{PEOPLE}delegations: [{{of: ben, to: x, until: 2030-01-01, role: bb}}]",
            "delegations.0.role",
            "not have the",
        ),
        (f"{PEOPLE}delegations: [{{of: ben, to: x, until: 2030-01-01 10:00:00}}]", "delegations.0.until", "its zone"),
        (f"{PEOPLE}delegations: [{{of: ben, to: x, until: 9999-12-31}}]", "delegations.0.until", "it is 9999-12-31"),
        (f"{PEOPLE}delegations: [{{of: ben, to: x}}]", "delegations.0.until", "it is missing"),
        ("delegations: [{of: ben, to: x, until: 2030-01-01}]", "delegations.0.of", "no role under `approvers`"),
    ],
)
def test_what_cannot_be_is_named_with_its_line(text: str, where: str, why: str) -> None:
    with pytest.raises(CutoverError) as raised:
        declared(text)
    assert raised.value.code == "migration.invalid"
    assert where in raised.value.obj and why in raised.value.why, raised.value
    assert "as in this example:\n    " in raised.value.remedy
