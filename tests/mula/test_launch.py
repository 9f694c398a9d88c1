"""A first launch into an empty target and a repeat over a live one: both swap, and both roll back."""

from __future__ import annotations

from tests.mula.world import MIGRATION, World


def test_the_demonstration_launches_and_disappears_again(demonstration: World) -> None:
    world = demonstration
    review = world.prepare("first")
    print(world.messages[-40:])
    for row in world.balance("first").values():
        print({k: row[k] for k in ("source", "read", "staged", "merged", "left_out", "rejected")}, row["reasons"])
    world.approve("first")
    entry = world.swap("first")
    world.roll_back("back")
