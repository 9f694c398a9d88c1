"""A new signing key in place of the old one, vouched for by it in every chain."""

from __future__ import annotations

from collections.abc import Sequence

from cutover.database.connect import connector, opened
from cutover.errors import CutoverError
from cutover.records import chain, signing
from cutover.records.signing import Signer
from stack.settings import Settings


def rotate(settings: Settings, connections: Sequence[str]) -> tuple[Signer, Signer]:
    """Make a new key and have the old one name it in the chain of each database. Returns the old and the new one.

    Killed in between, the old key goes on signing, and another try makes another key. Raises ``chain.key-elsewhere``
    when the key is not in a file of this deployment's.
    """
    if settings.is_given(signing.CONNECTION):
        raise CutoverError(
            "chain.key-elsewhere",
            f"connection {signing.CONNECTION}",
            "the key is in a connection, which is not this command's to change.",
            "put the key into a file, rotate it there (CUTOVER_SIGNING_KEY=FILE ./run signing-key --rotate, without "
            f"AIRFLOW_CONN_{signing.CONNECTION.upper()}), then set password and public_keys of the connection anew.",
        )
    settings.share_evidence()
    path = settings.signing_key
    old, new = signing.signer(), Signer.new()
    waiting = path.with_name(f"{path.name}.new")
    waiting.unlink(missing_ok=True)
    signing.write(waiting, new)
    for name in connections:
        with opened(connector(settings.dsn(name), name, "cutover signing-key")) as connection:
            chain.append(connection, "key", None, says={"public_key": new.public})
    signing.believe(path, new.public)
    path.replace(path.with_name(f"{path.name}.{old.key_id}"))
    waiting.replace(path)
    return old, new
