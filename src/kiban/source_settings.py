"""What kiban.toml says of each source, one `[[sources]]` table each:

    [[sources]]
    kind = "folder"
    name = "handbook"
    path = "/srv/handbook"

A secret is written as it is, or as "env:NAME", which settings.py reads from the environment.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

Groups = tuple[Annotated[str, Field(pattern=r"^[^,\x00]+$")], ...]  # a comma parts names elsewhere


class AnySource(BaseModel):
    """What every kind of source has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[\w.-]{1,60}$", description="Unique; documents are kept under it")


class FolderSettings(AnySource):
    """A folder, with `.readers.yaml` and `.people.yaml` in it."""

    kind: Literal["folder"]
    path: Path


class S3Settings(AnySource):
    """A bucket of Amazon S3, MinIO or another server that speaks S3."""

    kind: Literal["s3"]
    bucket: str
    prefix: str = Field("", description="Only objects whose keys begin so, e.g. handbook/")
    endpoint: str | None = Field(None, pattern=r"^https?://", description="Unset: Amazon's own")
    region: str = "us-east-1"
    access_key: SecretStr | None = Field(None, description="Unset: where boto3 looks, e.g. a machine's role")
    secret_key: SecretStr | None = None
    readers_tag: str = Field("", description="Tag of objects that names readers, with ':' between")


class GitSettings(AnySource):
    """A branch of a Git repository, with `.readers.yaml` and `.people.yaml` in it."""

    kind: Literal["git"]
    repository: str = Field(min_length=1, description="A path here, or an https, ssh or git address")
    branch: str = "main"
    username: str | None = None
    password: SecretStr | None = Field(None, description="Or an access token")
    page: str = Field("", description="What precedes a file's path in the browser")


class SqlSettings(AnySource):
    """The rows of a query with columns id, text (or title and body), readers, updated and url."""

    kind: Literal["sql"]
    url: SecretStr = Field(description="As SQLAlchemy writes it: postgresql+psycopg://user:password@host/db")
    query: str = Field(min_length=1)
    seconds: float = Field(60, gt=0, description="How long a statement may take")
    whole_every: int = Field(1, ge=1, description="Above 1: ask for newer `updated` alone in between")
    ending: Literal["md", "txt", "html"] = Field("md", description="What the text is")


class LetterSettings(AnySource):
    """Who may read letters: groups by mailbox folder, or the people on them."""

    readers: Literal["people"] | dict[str, Groups] = Field(
        description='{INBOX = ["support"]}, "" for all folders; or "people": From, To and Cc'
    )
    domain: str = Field("", description='With "people": the domain of our own addresses')
    person: Literal["address", "local"] = Field("address", description="What people are called in tokens")


class ImapSettings(LetterSettings):
    """A mailbox on an IMAP server."""

    kind: Literal["imap"]
    host: str
    port: int = Field(993, ge=1, le=65535)
    tls: Literal["tls", "starttls", "none"] = "tls"
    authority: Path | None = Field(None, description="Certificates to trust besides the system's")
    username: str
    password: SecretStr
    folders: tuple[str, ...] = Field(("INBOX",), description='With "*" and "?"')


class MailFolderSettings(LetterSettings):
    """A folder of .eml and .mbox files."""

    kind: Literal["mail-folder"]
    path: Path


SourceSettings = Annotated[
    FolderSettings | S3Settings | GitSettings | SqlSettings | ImapSettings | MailFolderSettings,
    Field(discriminator="kind"),
]
