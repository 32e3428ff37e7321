"""Local users and the tokens of this house. Neither passwords nor tokens are kept, only hashes of them."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from typing import Any

from kiban.backends.postgres.connect import Connection, Postgres
from kiban.domain.credentials import IssuedToken, LocalUser, Purpose
from kiban.domain.roles import Right
from kiban.errors import IdentityError, SettingsError

PREFIX = "kbn"  # of every token, so that whoever searches for leaked secrets knows them
SOURCE = "users:local"  # of memberships; no source of documents can have this name
COLUMNS = "id, subject, scopes, purpose, note, made, expires, revoked"
TOKENS = f"select {COLUMNS} from kiban.token"
PROVEN = f"""
select secret_sha256, expires > now() and revoked is null, {COLUMNS} from kiban.token where id = %s
""".encode()


class PostgresCredentials:
    """Read and written as kiban_writer: the role that answers sees none of it."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    # --- Users ---

    def put_user(self, name: str, groups: frozenset[str], password: str = "") -> None:
        """Keep a user with these groups and this hash of a password. Raises SettingsError."""
        with self._postgres.writing() as tx:
            put = tx.execute(
                "insert into kiban.local_user (name, password) values (%s, %s) on conflict do nothing",
                [name, password],
            )
            if not put.rowcount:
                raise SettingsError(f"there is a user {name} already.", mend="kiban users password NAME")
            for group in sorted(groups):
                tx.execute(
                    "insert into kiban.membership (source, person, group_name) values (%s, %s, %s)",
                    [SOURCE, name, group],
                )

    def set_password(self, name: str, password: str) -> None:
        """Keep another hash, and end the sessions begun with the old password. Raises SettingsError."""
        with self._postgres.writing() as tx:
            _require(
                tx.execute("update kiban.local_user set password = %s where name = %s", [password, name]),
                name,
            )
            _revoke(tx, "subject = %s and purpose = 'session'", name)

    def remove_user(self, name: str) -> None:
        """Forget a user, their groups and their tokens. Raises SettingsError for an unknown name."""
        with self._postgres.writing() as tx:
            _require(tx.execute("delete from kiban.local_user where name = %s", [name]), name)
            tx.execute("delete from kiban.membership where source = %s and person = %s", [SOURCE, name])
            _revoke(tx, "subject = %s", name)

    def users(self) -> list[LocalUser]:
        """Return all local users by name."""
        with self._postgres.writing() as tx:
            return [
                LocalUser(name, frozenset(groups), has_password, made)
                for name, groups, has_password, made in tx.execute(
                    "select name, array(select group_name from kiban.membership"
                    " where source = %s and person = name), password <> '', made"
                    " from kiban.local_user order by name",
                    [SOURCE],
                )
            ]

    def password_of(self, name: str) -> str | None:
        """Return the hash of a user's password; None when there is no such user."""
        with self._postgres.writing() as tx:
            found = tx.execute("select password from kiban.local_user where name = %s", [name]).fetchone()
            return str(found[0]) if found else None

    # --- Tokens ---

    def issue(
        self,
        subject: str,
        scopes: frozenset[Right] | None,
        purpose: Purpose,
        lifetime: timedelta,
        note: str = "",
    ) -> str:
        """Return a new token. It is told once: only its hash is kept."""
        id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        named = None if scopes is None else sorted(scopes)
        with self._postgres.writing() as tx:
            tx.execute(
                "insert into kiban.token (id, secret_sha256, subject, scopes, purpose, note, expires)"
                " values (%s, %s, %s, %s, %s, %s, now() + %s)",
                [id, _hash(secret), subject, named, purpose, note, lifetime],
            )
        return f"{PREFIX}_{id}_{secret}"

    def proven(self, token: str) -> IssuedToken:
        """Return what a token allows. Raises IdentityError for one that is unknown, revoked or expired."""
        _, id, secret = (*token.split("_", 2), "", "")[:3]
        with self._postgres.writing() as tx:
            found = tx.execute(PROVEN, [id.replace("\0", "")]).fetchone()
        # A fast hash will do: nobody guesses 256 random bits.
        if not found or not hmac.compare_digest(bytes(found[0]), _hash(secret)):
            raise IdentityError("this house did not issue it")
        if not found[1]:
            raise IdentityError("it was revoked or has expired")
        return _token(found[2:])

    def tokens(self, purpose: Purpose = Purpose.SERVICE) -> list[IssuedToken]:
        """Return all tokens for a purpose, the newest first."""
        with self._postgres.writing() as tx:
            found = tx.execute(f"{TOKENS} where purpose = %s order by made desc".encode(), [purpose])
            return [_token(row) for row in found]

    def revoke(self, id: str) -> None:
        """Let a token prove nothing any more, from the next request on. Raises SettingsError."""
        with self._postgres.writing() as tx:
            if not _revoke(tx, "id = %s", id):
                raise SettingsError(f"there is no token {id} in force.", mend="kiban tokens list")

    def forget(self, before: datetime) -> int:
        """Forget tokens that ended before; return how many."""
        with self._postgres.writing() as tx:
            gone = "delete from kiban.token where least(expires, coalesce(revoked, expires)) < %s"
            return tx.execute(gone, [before]).rowcount


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _revoke(tx: Connection, where: str, value: str) -> int:
    revoked = f"update kiban.token set revoked = now() where revoked is null and {where}"
    return tx.execute(revoked.encode(), [value]).rowcount


def _require(changed: Any, name: str) -> None:
    if not changed.rowcount:
        raise SettingsError(f"there is no local user {name}.", mend="kiban users list")


def _token(row: tuple[Any, ...]) -> IssuedToken:
    id, subject, scopes, purpose, *rest = row
    rights = None if scopes is None else frozenset(map(Right, scopes))
    return IssuedToken(id, subject, rights, Purpose(purpose), *rest)
