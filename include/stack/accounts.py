"""The four accounts of the stack and what each may do; run as ``python -m stack.accounts`` in Airflow's environment.

Airflow's own roles are too broad for this product: its User may trigger a run *and* answer its approval. So there are
three roles of ours, each Airflow's Viewer plus what that person is for. One process migrates the database and makes
roles and accounts, since importing Airflow costs more than all of that work.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cutover.errors import CutoverError
from cutover.operators.approvers import VARIABLE

if TYPE_CHECKING:
    from airflow.providers.fab.auth_manager.security_manager.override import FabAirflowSecurityManagerOverride


OPERATOR = "operator"  # the account that triggers
APPROVER = "reviewer"  # the account that may approve, unless the variable or a connection names others


@dataclass(frozen=True)
class Account:
    """One account: its name, the role it gets, and in words what that lets it do."""

    name: str
    role: str
    purpose: str


ACCOUNTS = (
    Account(OPERATOR, "Cutover operator", "triggers runs, clears tasks, sees everything"),
    Account("reviewer", "Cutover reviewer", "answers approvals, sees everything, triggers nothing"),
    Account("auditor", "Cutover auditor", "sees everything, changes nothing"),
    Account("admin", "Admin", "may do everything"),
)

# Added to the permissions of Airflow's Viewer.
_SEE_EVERYTHING = {
    ("menu_access", "HITL Detail"),
    ("menu_access", "XComs"),
    ("can_read", "Audit Logs"),
    ("can_read", "All Audit Logs"),
    ("menu_access", "Audit Logs"),
    ("can_read", "Plugins"),  # the UI asks for the list of plugins to know which pages to offer
}
_ROLES = {
    "Cutover auditor": _SEE_EVERYTHING,
    # Every change to something of a DAG asks for can_edit on the DAG too.
    "Cutover reviewer": _SEE_EVERYTHING | {("can_edit", "DAGs"), ("can_edit", "HITL Detail")},
    "Cutover operator": _SEE_EVERYTHING
    | {
        ("can_edit", "DAGs"),
        ("can_create", "DAG Runs"),
        ("can_edit", "DAG Runs"),
        ("can_edit", "Task Instances"),
        ("can_create", "Assets"),
    },
}


def new_password() -> str:
    """A random password."""
    return secrets.token_urlsafe(12)


def prepare(passwords: dict[str, str]) -> None:
    """Bring the metadata database to Airflow's current schema, and roles and accounts to what is said above.

    What is there already is kept; an account's password becomes the one given.
    """
    from airflow.utils import db

    db.upgradedb()

    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    with get_application_builder() as builder:
        security = builder.sm
        security.sync_roles()
        for name, permissions in _ROLES.items():
            _set_role(security, name, permissions)
        for account in ACCOUNTS:
            _set_account(security, account, passwords[account.name])
        _name_approver(security)


def _set_role(security: FabAirflowSecurityManagerOverride, name: str, extra: set[tuple[str, str]]) -> None:
    """Give the role exactly the Viewer's permissions and the extra ones."""
    role = security.find_role(name) or security.add_role(name)
    wanted = set(security.VIEWER_PERMISSIONS) | extra
    held = {(permission.action.name, permission.resource.name): permission for permission in role.permissions}
    for action, resource in sorted(wanted - held.keys()):
        security.add_permission_to_role(role, security.create_permission(action, resource))
    for pair in sorted(held.keys() - wanted):
        security.remove_permission_from_role(role, held[pair])


def _set_account(security: FabAirflowSecurityManagerOverride, account: Account, password: str) -> None:
    role = security.find_role(account.role)
    assert role is not None  # it was made just before
    user = security.find_user(username=account.name)
    if user is None:
        email = f"{account.name}@cutover.invalid"
        security.add_user(account.name, account.name.capitalize(), "Cutover", email, role, password)
        return
    user.roles = [role]
    security.update_user(user)
    security.reset_password(user.id, password)


def _name_approver(security: FabAirflowSecurityManagerOverride) -> None:
    """Put the reviewer into the variable that says who may approve, unless it names somebody already.

    With the id, by which Airflow refuses everybody else's answer; it is not known before the account is made.
    """
    from airflow.models.variable import Variable

    if Variable.get(VARIABLE, default_var=None) is not None:
        return
    reviewer = security.find_user(username=APPROVER)
    assert reviewer is not None  # it was made just before
    Variable.set(
        VARIABLE,
        json.dumps([{"id": str(reviewer.id), "name": reviewer.username}]),
        description="Who may approve what is launched: names, or id and name as Security > List Users has them.",
    )


def read_passwords(arguments: Sequence[str], variables: Mapping[str, str]) -> dict[str, str]:
    """The accounts' passwords: from the JSON file that is named, else from ``CUTOVER_PASSWORD_<NAME>``.

    Raises CutoverError ``stack.no-password`` for an account without one.
    """
    if arguments:
        passwords: dict[str, str] = json.loads(Path(arguments[0]).read_text())
    else:
        passwords = {one.name: variables.get(f"CUTOVER_PASSWORD_{one.name.upper()}", "") for one in ACCOUNTS}
    for account in ACCOUNTS:
        if not passwords.get(account.name):
            raise CutoverError(
                "stack.no-password",
                f"account {account.name}",
                "it has no password.",
                f"set CUTOVER_PASSWORD_{account.name.upper()}, in secrets/accounts.env.",
            )
    return passwords


if __name__ == "__main__":
    try:
        prepare(read_passwords(sys.argv[1:], os.environ))
    except CutoverError as error:
        sys.exit(str(error))
