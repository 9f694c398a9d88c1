"""The declaration of the service that lets people in after a launch, so that it can be asked whether it would."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cutover.migration.source import Declared, Name

Path = Annotated[str, Field(pattern=r"^/[\w./-]*$")]


class SignIns(Declared):
    """Where a rehearsal of sign-ins asks, and in which words; its statements are in the migration's folder sign_ins."""

    # the Airflow connection, of type HTTP, of the service
    connection: Name
    # the Airflow connection whose extra names test persons with their passwords; without it nobody types one
    people: Name | None = None
    # answers 200 when people can be let in
    ready: Path
    # takes a token of an old application by RFC 8693
    exchange: Path
    # application → the `subject_token_type` of its tokens in a rehearsal
    token_types: dict[Name, str]
    # the page with the form for address and password, and the cookie that the form repeats
    sign_in: Path
    form_cookie: str
    # header by which a rehearsed sign-in by password says that it is one
    header: str
    # tells whose a token is, and how many rows it shows
    account: Path
