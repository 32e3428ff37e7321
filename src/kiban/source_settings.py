"""What kiban.toml says of each source, one `[[sources]]` table each:

    [[sources]]
    kind = "folder"
    name = "handbook"
    path = "/srv/handbook"

A secret is written as it is, or as "env:NAME", which settings.py reads from the environment.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

Groups = tuple[Annotated[str, Field(pattern=r"^[^,\x00]+$")], ...]  # a comma parts names elsewhere


def _zone(name: object) -> ZoneInfo:
    try:
        return ZoneInfo(str(name))
    except ZoneInfoNotFoundError as error:
        raise ValueError("not a time zone such as Asia/Tokyo") from error


class AnySource(BaseModel):
    """What every kind of source has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[\w.-]{1,60}$", description="Unique; documents are kept under it")
    people_seconds: float = Field(60, gt=0, description="How often to ask who is in which group")
    every_minutes: int | None = Field(
        None, ge=1, description="How often to ingest it, in runs of its own; unset: hourly, beside others"
    )
    listing_minutes: float = Field(50, gt=0, description="How long a listing may take when it is ingested")
    look_seconds: float = Field(
        150, gt=0, description="How long it may take when readers and deletions are followed in between"
    )


class FolderSettings(AnySource):
    """A folder, with `.readers.yaml` and `.people.yaml` in it."""

    kind: Literal["folder"]
    path: Path
    readers: Literal["yaml", "posix"] = Field(
        "yaml",
        description='"posix": owners, groups and modes of the files say who reads, not `.readers.yaml`',
    )
    domain: str = Field("", description='With "posix": what follows a login in tokens, e.g. example.com')
    people_seconds: float = Field(2, gt=0, description="How often to ask who is in which group")


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
    people_seconds: float = Field(300, gt=0, description="How often to look who is on which letter")
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


class WebSettings(AnySource):
    """A web site, public or a company's own."""

    kind: Literal["web"]
    listing_minutes: float = Field(600, gt=0, description="How long a listing may take when it is ingested")
    start: tuple[Annotated[str, Field(pattern=r"^https?://")], ...] = Field(min_length=1)
    sections: dict[Annotated[str, Field(pattern=r"^https?://")], Groups] = Field(
        description='Readers by beginning of an address: {"https://www.example.com/" = ["everyone"]}'
    )
    scope: tuple[Annotated[str, Field(pattern=r"^https?://")], ...] = Field(
        (), description="Beginnings of addresses to stay within; none: the folders of `start`"
    )
    depth: int = Field(10, ge=0, description="Links from a start or a sitemap")
    pages: int = Field(10_000, ge=1)
    private_hosts: tuple[str, ...] = Field(
        (), description="Hosts that may have private addresses, and networks, e.g. 10.1.0.0/16"
    )
    authorization: SecretStr | None = Field(None, description="Header for the origins of `start` alone")


class CloudSettings(AnySource):
    """A place behind an HTTP API; infra/sources.md says what each has to be allowed."""

    longest_wait: float = Field(120, ge=0, description="Seconds to wait for a busy service, at one request")


class ConfluenceSettings(CloudSettings):
    """Spaces of Confluence, in the cloud or in a data center."""

    kind: Literal["confluence"]
    url: str = Field(pattern=r"^https?://", description="With the context path, e.g. …/wiki")
    cloud: bool = True
    user: str = Field("", description="Empty: `token` is a personal access token")
    token: SecretStr
    spaces: tuple[str, ...] = Field(min_length=1, description="Keys")
    attachments: bool = True
    anonymous_readers: Groups = Field((), description="Who reads what is shown without an account")
    people: dict[str, str] = Field({}, description="Account id -> subject, where an email is hidden")
    whole_minutes: float = Field(15, gt=0, description="How soon new restrictions and deletions are seen")


class SharePointSettings(CloudSettings):
    """Document libraries of SharePoint sites, and OneDrives."""

    kind: Literal["sharepoint"]
    tenant: str
    client: str
    secret: SecretStr
    sites: tuple[str, ...] = Field((), description='"HOST:/sites/NAME"')
    users: tuple[str, ...] = Field((), description="Whose OneDrives, by user principal name")
    groups: tuple[str, ...] = Field((), description="Ids of the Entra groups to follow; empty: all")
    site_groups: dict[str, tuple[str, ...]] = Field({}, description="A site's own group -> Entra groups")
    organization_readers: Groups = Field((), description="Who reads what the whole organization may")
    anonymous_readers: Groups = Field((), description="Who reads what anyone with a link may")
    whole_hours: float = Field(24, gt=0)
    graph: str = Field("https://graph.microsoft.com/v1.0", pattern=r"^https://")
    login: str = Field("https://login.microsoftonline.com", pattern=r"^https://")
    ca_file: Path | None = Field(None, description="Certificates to trust instead of the usual")


class GoogleDriveSettings(CloudSettings):
    """Shared drives and folders of Google Drive."""

    kind: Literal["google-drive"]
    key_file: Path = Field(description="The JSON key of a service account")
    subject: str = Field("", description="Whom it acts as, with domain-wide delegation")
    directory: bool = Field(False, description="Ask the Directory for people and groups")
    groups: dict[str, tuple[str, ...]] = Field({}, description="Group -> members, instead of the Directory")
    drives: tuple[str, ...] = Field((), description="Ids of shared drives")
    folders: tuple[str, ...] = Field((), description="Ids of folders elsewhere")
    domains: dict[str, Groups] = Field({}, description="Who reads what a whole domain may")
    anyone_readers: Groups = Field((), description="Who reads what anyone with the link may")
    whole_hours: float = Field(24, gt=0)


class MessageSettings(AnySource):
    """Which messages of Slack become documents."""

    channels: tuple[str, ...] = Field((), description="Names or ids; empty: all that is seen")
    direct_messages: bool = False
    since: date = Field(date(2000, 1, 1), description="The first day")
    time_zone: Annotated[ZoneInfo, BeforeValidator(_zone)] = Field(
        ZoneInfo("UTC"), description="Where a day begins, e.g. Asia/Tokyo"
    )


class SlackSettings(MessageSettings, CloudSettings):
    """A workspace of Slack, through its Web API."""

    kind: Literal["slack"]
    token: SecretStr
    lookback_days: int = Field(7, ge=2, description="Days that every listing looks at again")
    whole_hours: float = Field(24, gt=0)


class SlackExportSettings(MessageSettings):
    """A zip that Slack exported."""

    kind: Literal["slack-export"]
    path: Path
    address: str = Field("", description="The workspace's, for links, e.g. https://example.slack.com")


SourceSettings = Annotated[
    FolderSettings
    | S3Settings
    | GitSettings
    | SqlSettings
    | ImapSettings
    | MailFolderSettings
    | WebSettings
    | ConfluenceSettings
    | SharePointSettings
    | GoogleDriveSettings
    | SlackSettings
    | SlackExportSettings,
    Field(discriminator="kind"),
]
