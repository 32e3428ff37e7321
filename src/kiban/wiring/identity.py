"""Token → who calls and what they may do."""

from __future__ import annotations

from kiban.domain.access import Principal
from kiban.domain.roles import Caller, RoleGroups, rights_of
from kiban.wiring.furniture import Furniture


class Identity:
    """A token proves a subject; what the subject may read and do comes from the directory in Postgres."""

    def __init__(self, furniture: Furniture) -> None:
        self._furniture = furniture
        settings = furniture.settings
        self._roles = RoleGroups(settings.readers, settings.curators, settings.operators, settings.auditors)

    def caller(self, token: str) -> Caller:
        """Return who calls, and what they may do. Raises IdentityError."""
        return self.seated(self._furniture.verifier.subject(token))

    def known(self, subject: str) -> Principal:
        """Return a person as the directory knows them."""
        return self.seated(subject).who

    def seated(self, subject: str) -> Caller:
        """Return a person with all that they may do, for whoever sits at this machine."""
        told = self._furniture.directory.memberships_of(subject)
        groups = frozenset(group for group, _ in told)
        trusted = frozenset(group for group, source in told if self._gives_roles(source))
        return Caller(Principal(subject, groups), rights_of(self._roles.roles_of(trusted)))

    def _gives_roles(self, source: str) -> bool:
        """Tell whether a source's word makes an operator. A repository's or a bucket's does not: whoever may
        write documents there could write `.people.yaml` as well."""
        return source == f"folder:{self._furniture.settings.documents.resolve()}"
