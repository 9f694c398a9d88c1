"""Dumps a database in a process of its own, for a test to kill: DSN, folder's address."""

from __future__ import annotations

import sys

from airflow.sdk import ObjectStoragePath

from cutover.database.connect import connector
from cutover.dumps import dump

if __name__ == "__main__":
    dump.make(connector(sys.argv[1], "source", "killable"), "source", ObjectStoragePath(sys.argv[2]), print)
