"""The task of the keys in a process of its own, for a test to kill: DSN, run."""

from __future__ import annotations

import sys

from cutover import transform
from cutover.database.connect import connector
from cutover.migration import load
from cutover.swap.pace import Pace

if __name__ == "__main__":
    connect, migration = connector(sys.argv[1], "production", "killable"), load("tiny")
    pace = Pace(connect, migration, migration.pace, sys.argv[2], print, pause_s=0.02, task="transform.keys")
    transform.add_keys(connect, migration, sys.argv[2], print, pace)
