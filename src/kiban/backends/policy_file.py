"""A company's policy in TOML, checked by pydantic. infra/policy.example.toml shows all of it."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kiban.domain import policy
from kiban.domain.policy import EVERYWHERE, Policy, Where
from kiban.domain.sensitive import Kind
from kiban.errors import SettingsError


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Blocked(_Strict):
    name: str = Field(min_length=1, max_length=40)
    words: tuple[str, ...] = Field(min_length=1)
    where: frozenset[Where] = EVERYWHERE
    exempt: frozenset[str] = frozenset()
    says: str = Field("", max_length=400)

    def rule(self) -> policy.Rule:
        return policy.Rule(self.name, self.words, self.where, self.exempt, self.says)


class _Veiled(_Strict):
    kinds: frozenset[Kind] = Field(min_length=1)
    shown_to: frozenset[str] = frozenset()


class _Judge(_Strict):
    model: str = Field(min_length=1)
    labels: frozenset[str] = Field(min_length=1)
    at_least: float = Field(0.9, gt=0, le=1)
    where: frozenset[Where] = EVERYWHERE


class _File(_Strict):
    blocked: tuple[_Blocked, ...] = ()
    veiled: tuple[_Veiled, ...] = ()
    judge: _Judge | None = None


def read(path: Path) -> Policy:
    """Return the policy in a file. Raises SettingsError, naming what is wrong in it."""
    try:
        given = _File.model_validate(tomllib.loads(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error
    except ValidationError as error:
        wrong = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise SettingsError(f"{path}: {'; '.join(wrong)}", mend="see infra/policy.example.toml") from error
    return Policy(
        tuple(blocked.rule() for blocked in given.blocked),
        tuple(policy.Veil(veiled.kinds, veiled.shown_to) for veiled in given.veiled),
        policy.Judge(**given.judge.model_dump()) if given.judge else None,
    )
