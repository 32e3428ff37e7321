"""From what the settings say of a source in a cloud to the source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kiban.errors import SourceRefused
from kiban.ports import Source
from kiban.source_settings import (
    ConfluenceSettings,
    GoogleDriveSettings,
    SharePointSettings,
    SlackExportSettings,
    SlackSettings,
)

_MINUTE, _HOUR = 60.0, 3600.0


def confluence(settings: ConfluenceSettings, max_bytes: int) -> Source:
    from kiban.backends.sources.confluence import ConfluenceSource
    from kiban.backends.sources.confluence_client import ConfluenceAccount

    token = settings.token.get_secret_value()
    return ConfluenceSource(
        settings.name,
        ConfluenceAccount(settings.url, settings.cloud, settings.user, token),
        settings.spaces,
        max_bytes,
        attachments=settings.attachments,
        anonymous_readers=frozenset(settings.anonymous_readers),
        people=settings.people,
        whole_every=settings.whole_minutes * _MINUTE,
        longest_wait=settings.longest_wait,
    )


def sharepoint(settings: SharePointSettings, max_bytes: int) -> Source:
    from kiban.backends.sources.graph import GraphSource
    from kiban.backends.sources.graph_readers import GraphReaders
    from kiban.backends.sources.graph_tokens import GraphAccount

    account = GraphAccount(
        settings.tenant,
        settings.client,
        settings.secret.get_secret_value(),
        settings.graph,
        settings.login,
        str(settings.ca_file or ""),
    )
    readers = GraphReaders(
        settings.name,
        frozenset(settings.organization_readers),
        frozenset(settings.anonymous_readers),
        settings.site_groups,
    )
    return GraphSource(
        settings.name,
        account,
        readers,
        max_bytes,
        sites=settings.sites,
        users=settings.users,
        groups=settings.groups,
        whole_every=settings.whole_hours * _HOUR,
        longest_wait=settings.longest_wait,
    )


def google_drive(settings: GoogleDriveSettings, max_bytes: int) -> Source:
    """Raises SourceRefused when the key cannot be read."""
    from kiban.backends.sources.drive import DriveSource
    from kiban.backends.sources.drive_readers import DriveReaders
    from kiban.backends.sources.drive_tokens import DriveAccount

    try:
        key = settings.key_file.read_text("utf-8")
    except OSError as error:
        raise SourceRefused(f"{settings.key_file} cannot be read: {error.strerror}") from error
    account = DriveAccount.from_key(key, subject=settings.subject, directory=settings.directory)
    return DriveSource(
        settings.name,
        account,
        DriveReaders(settings.name, _sets(settings.domains), frozenset(settings.anyone_readers)),
        max_bytes,
        drives=settings.drives,
        folders=settings.folders,
        groups=settings.groups,
        whole_every=settings.whole_hours * _HOUR,
        longest_wait=settings.longest_wait,
    )


def slack(settings: SlackSettings, max_bytes: int) -> Source:
    from kiban.backends.sources.slack import SlackSource

    return SlackSource(
        settings.name,
        settings.token.get_secret_value(),
        max_bytes,
        channels=settings.channels,
        direct_messages=settings.direct_messages,
        since=settings.since,
        zone=settings.time_zone,
        lookback_days=settings.lookback_days,
        whole_every=settings.whole_hours * _HOUR,
        longest_wait=settings.longest_wait,
    )


def slack_export(settings: SlackExportSettings, max_bytes: int) -> Source:
    from kiban.backends.sources.slack_export import SlackExportSource

    return SlackExportSource(
        settings.name,
        settings.path,
        max_bytes,
        channels=settings.channels,
        direct_messages=settings.direct_messages,
        since=settings.since,
        zone=settings.time_zone,
        address=settings.address,
    )


def _sets(domains: Mapping[str, Sequence[str]]) -> dict[str, frozenset[str]]:
    return {domain.lower(): frozenset(groups) for domain, groups in domains.items()}
