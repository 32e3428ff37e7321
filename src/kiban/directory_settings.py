"""What kiban.toml says of each directory of people, one `[[directories]]` table each:

[[directories]]
name = "ad"
host = "dc1.example.com"
bind = "CN=kiban,OU=Services,DC=example,DC=com"
password = "env:KIBAN_AD_PASSWORD"
people = "OU=Staff,DC=example,DC=com"
groups = "OU=Groups,DC=example,DC=com"
person = "userPrincipalName"
people_filter = "(&(objectClass=user)(!(userAccountControl:1.2.840.113556.1.4.803:=2)))"
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class DirectorySettings(BaseModel):
    """OpenLDAP, Active Directory or another server that speaks LDAP 3."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[\w.-]{1,60}$", description="Unique among directories")
    host: str
    port: int = Field(636, ge=1, le=65535)
    tls: Literal["tls", "starttls", "none"] = "tls"
    authority: Path | None = Field(None, description="Certificates to trust besides the system's")
    bind: str = Field("", description="As whom we ask, a distinguished name; empty: anonymously")
    password: SecretStr = SecretStr("")
    people: str = Field(description="Where people are: a distinguished name")
    people_filter: str = "(objectClass=person)"
    person: str = Field("uid", description="The attribute that holds what tokens call a person")
    groups: str = Field(description="Where groups are: a distinguished name")
    groups_filter: str = (
        "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=group)"
        "(objectClass=posixGroup))"
    )
    group: str = Field("cn", description="The attribute that holds a group's name")
    prefix: str = Field("", pattern=r"^[^,\x00]*$", description="What precedes names of its groups here")
    page: int = Field(500, ge=1, le=10_000, description="Entries that are asked for at once")
    every_seconds: float = Field(300, gt=0, description="How often to ask who is in which group")
    seconds: int = Field(30, ge=1, description="How long an answer may take")
