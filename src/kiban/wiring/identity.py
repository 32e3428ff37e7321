"""Token → who calls and what they may do."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from kiban.backends.postgres import credentials
from kiban.domain.access import Principal
from kiban.domain.credentials import IssuedToken, Journey, LocalUser, Purpose
from kiban.domain.roles import Caller, Right, RoleGroups, rights_of
from kiban.errors import IdentityError, SettingsError
from kiban.wiring.furniture import Furniture

DIRECTORY = "directory:"  # what sources of memberships from a directory begin with
if TYPE_CHECKING:
    from kiban.backends.openid_login import OpenIdLogin

FORGOTTEN_AFTER = timedelta(days=30)  # what ended, until then to be looked up


class Identity:
    """A token proves a subject; what the subject may read and do comes from the directory in Postgres."""

    def __init__(self, furniture: Furniture) -> None:
        self._furniture = furniture
        settings = furniture.settings
        self._roles = RoleGroups(settings.readers, settings.curators, settings.operators, settings.auditors)

    def caller(self, token: str) -> Caller:
        """Return who calls, and what they may do. Raises IdentityError."""
        if not token.startswith(f"{credentials.PREFIX}_"):
            return self.seated(self._furniture.verifier.subject(token))
        proven = self._furniture.credentials.proven(token)
        caller = self.seated(proven.subject)
        return caller if proven.scopes is None else Caller(caller.who, caller.rights & proven.scopes)

    def known(self, subject: str) -> Principal:
        """Return a person as the directory knows them."""
        return self.seated(subject).who

    def seated(self, subject: str) -> Caller:
        """Return a person with all that they may do, for whoever sits at this machine."""
        told = self._furniture.directory.memberships_of(subject)
        groups = frozenset(group for group, _ in told)
        trusted = frozenset(group for group, source in told if self._gives_roles(source))
        return Caller(Principal(subject, groups), rights_of(self._roles.roles_of(trusted)))

    # --- Logging in on the page ---

    @property
    def takes_passwords(self) -> bool:
        """Tell whether people log in with passwords of this house: where no OpenID provider knows them."""
        return self._furniture.settings.token_issuer is None

    @property
    def over_tls(self) -> bool:
        """Tell whether browsers reach the page by https."""
        return self._furniture.settings.page_url.startswith("https://")

    @property
    def session_seconds(self) -> int:
        """Return how long a session lasts."""
        return self._furniture.settings.session_hours * 3600

    def log_in(self, name: str, password: str) -> str:
        """Return the token of a new session. Raises IdentityError, the same for every reason."""
        kept = self._furniture.credentials.password_of(name) if self.takes_passwords else None
        if not self._furniture.passwords.fits(password, kept):
            raise IdentityError("name and password do not belong together")
        return self.begin_session(name)

    def begin_session(self, subject: str) -> str:
        """Return a token that allows all that somebody may do, for a working day."""
        lifetime = timedelta(seconds=self.session_seconds)
        return self._furniture.credentials.issue(subject, None, Purpose.SESSION, lifetime)

    @property
    def takes_journeys(self) -> bool:
        """Tell whether people log in at an OpenID provider."""
        return self._furniture.openid_login is not None

    def begin_journey(self) -> tuple[str, Journey]:
        """Return the provider's address to log in at, and what the browser must bring back. Raises
        PartUnavailable, IdentityError where there is no provider."""
        return self._provider.begin()

    def end_journey(self, journey: Journey, brought: Mapping[str, str]) -> str:
        """Return the token of a new session of who came back. Raises IdentityError, PartUnavailable."""
        return self.begin_session(self._provider.finish(journey, brought))

    @property
    def _provider(self) -> OpenIdLogin:
        if self._furniture.openid_login is None:
            raise IdentityError("nobody logs in at a provider here")
        return self._furniture.openid_login

    def log_out(self, token: str) -> None:
        """End a session. Raises IdentityError for what is none."""
        proven = self._furniture.credentials.proven(token)
        if proven.purpose is Purpose.SESSION:
            self._furniture.credentials.revoke(proven.id)

    # --- Local users and service tokens ---

    def add_user(self, name: str, groups: Collection[str], password: str | None) -> None:
        """Let this house know somebody; without a password, a service. Raises SettingsError."""
        hashed = self._furniture.passwords.hash(password) if password is not None else ""
        self._furniture.credentials.put_user(name, frozenset(groups), hashed)

    def set_password(self, name: str, password: str) -> None:
        """Change a password; who logged in with the old one is logged out. Raises SettingsError."""
        self._furniture.credentials.set_password(name, self._furniture.passwords.hash(password))

    def remove_user(self, name: str) -> None:
        """Forget somebody, and end their sessions and tokens. Raises SettingsError."""
        self._furniture.credentials.remove_user(name)

    def users(self) -> list[LocalUser]:
        return self._furniture.credentials.users()

    def issue(self, subject: str, scopes: Collection[str], days: float, note: str = "") -> str:
        """Return a new service token, which is shown this once. Raises SettingsError for an unknown scope."""
        if unknown := sorted(set(scopes) - set(Right)):
            raise SettingsError(f"no scope {', '.join(unknown)}.", mend=f"choose from {', '.join(Right)}")
        rights = frozenset(map(Right, scopes))
        lifetime = timedelta(days=days)
        return self._furniture.credentials.issue(subject, rights, Purpose.SERVICE, lifetime, note)

    def tokens(self) -> list[IssuedToken]:
        """Return all service tokens, the newest first."""
        return self._furniture.credentials.tokens()

    def revoke(self, id: str) -> None:
        """Let a token prove nothing any more. Raises SettingsError."""
        self._furniture.credentials.revoke(id)

    def forget_old(self) -> int:
        """Forget tokens that ended long ago; return how many."""
        return self._furniture.credentials.forget(datetime.now(UTC) - FORGOTTEN_AFTER)

    def _gives_roles(self, source: str) -> bool:
        """Tell whether a source's word makes an operator. A repository's or a bucket's does not: whoever may
        write documents there could write `.people.yaml` as well."""
        folder = f"folder:{self._furniture.settings.documents.resolve()}"
        return source in (folder, credentials.SOURCE) or source.startswith(DIRECTORY)
