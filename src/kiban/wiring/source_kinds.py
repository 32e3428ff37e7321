"""From what the settings say of a source to the source. A kind's library is imported when it is opened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from pydantic import SecretStr

from kiban.backends.sources.folder import FolderSource
from kiban.backends.sources.posix_readers import PosixReaders
from kiban.ports import Source
from kiban.source_settings import (
    ConfluenceSettings,
    FolderSettings,
    GitSettings,
    GoogleDriveSettings,
    ImapSettings,
    LetterSettings,
    MailFolderSettings,
    S3Settings,
    SharePointSettings,
    SlackExportSettings,
    SlackSettings,
    SourceSettings,
    SqlSettings,
    WebSettings,
)
from kiban.wiring import cloud_kinds

if TYPE_CHECKING:
    from kiban.backends.sources.letters import LetterReaders


CloudKinds = (
    ConfluenceSettings | SharePointSettings | GoogleDriveSettings | SlackSettings | SlackExportSettings
)


def open_source(settings: SourceSettings, max_bytes: int, kept: Path) -> Source:
    """Return the source; nothing is connected to before it is asked for something. `kept` is a folder for
    what a source may want to find again."""
    match settings:
        case FolderSettings():
            posix = PosixReaders(settings.name, settings.domain) if settings.readers == "posix" else None
            return FolderSource(settings.name, settings.path, max_bytes, posix)
        case S3Settings():
            return _s3(settings, max_bytes)
        case GitSettings():
            return _git(settings, max_bytes, kept / settings.name)
        case SqlSettings():
            return _sql(settings, max_bytes)
        case ImapSettings():
            return _imap(settings, max_bytes)
        case MailFolderSettings():
            from kiban.backends.sources.mail_folder import MailFolderSource

            return MailFolderSource(settings.name, settings.path, _letter_readers(settings), max_bytes)
        case WebSettings():
            return _web(settings, max_bytes, kept / settings.name)
        case _:
            return _in_a_cloud(settings, max_bytes)


def _in_a_cloud(settings: CloudKinds, max_bytes: int) -> Source:
    match settings:
        case ConfluenceSettings():
            return cloud_kinds.confluence(settings, max_bytes)
        case SharePointSettings():
            return cloud_kinds.sharepoint(settings, max_bytes)
        case GoogleDriveSettings():
            return cloud_kinds.google_drive(settings, max_bytes)
        case SlackSettings():
            return cloud_kinds.slack(settings, max_bytes)
        case SlackExportSettings():
            return cloud_kinds.slack_export(settings, max_bytes)
        case _:
            assert_never(settings)


def _s3(settings: S3Settings, max_bytes: int) -> Source:
    from kiban.backends.sources.s3 import S3Source, connect

    keys = _told(settings.access_key), _told(settings.secret_key)
    return S3Source(
        settings.name,
        connect(settings.endpoint, settings.region, *keys),
        settings.bucket,
        max_bytes,
        prefix=settings.prefix,
        readers_tag=settings.readers_tag,
    )


def _git(settings: GitSettings, max_bytes: int, mirror: Path) -> Source:
    from kiban.backends.sources.git import GitSource

    return GitSource(
        settings.name,
        settings.repository,
        settings.branch,
        mirror,
        max_bytes,
        page=settings.page,
        username=settings.username,
        password=_told(settings.password),
    )


def _sql(settings: SqlSettings, max_bytes: int) -> Source:
    from kiban.backends.sources.sql import SqlSource

    return SqlSource(
        settings.name,
        settings.url.get_secret_value(),
        settings.query,
        max_bytes,
        seconds=settings.seconds,
        whole_every=settings.whole_every,
        ending=settings.ending,
    )


def _imap(settings: ImapSettings, max_bytes: int) -> Source:
    from kiban.backends.sources.imap import Account, ImapSource

    account = Account(
        settings.host,
        settings.port,
        settings.tls,
        settings.username,
        settings.password.get_secret_value(),
        settings.authority,
    )
    return ImapSource(settings.name, account, settings.folders, _letter_readers(settings), max_bytes)


def _web(settings: WebSettings, max_bytes: int, kept: Path) -> Source:
    from kiban.backends.sources.addresses import Doorman
    from kiban.backends.sources.safe_http import Limits, SafeHttp
    from kiban.backends.sources.web import Crawl, WebSource

    http = SafeHttp(
        Doorman(settings.private_hosts),
        Limits(bytes=max_bytes),
        secret=_told(settings.authorization) or "",
        secret_for=settings.start,
    )
    crawl = Crawl(settings.start, settings.sections, settings.scope, settings.depth, settings.pages)
    return WebSource(settings.name, http, crawl, kept, max_bytes)


def _letter_readers(settings: LetterSettings) -> LetterReaders:
    from kiban.backends.sources.letters import LetterReaders

    if settings.readers == "people":
        return LetterReaders(settings.name, people=True, domain=settings.domain, person=settings.person)
    return LetterReaders(settings.name, settings.readers)


def _told(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
