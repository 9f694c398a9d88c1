"""Databases of tests: made by copying files, which takes a quarter of the time of the usual way through the log."""

from __future__ import annotations

import psycopg
from psycopg import sql

from stack.postgres import EmbeddedPostgres


def create(server: EmbeddedPostgres, name: str, template: str = "template1") -> str:
    """Make a database as a copy of ``template``, to which nobody is connected. Returns its DSN as superuser."""
    statement = sql.SQL("create database {} template {} strategy file_copy")
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))
    return server.dsn(name)


def drop(server: EmbeddedPostgres, *names: str) -> None:
    """Drop databases, with whoever is connected to them."""
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        for name in names:
            admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))
