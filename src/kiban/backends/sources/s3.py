"""A bucket as a source of documents: Amazon S3, MinIO and whatever else speaks S3 (boto3).

Readers stand in `.readers.yaml` objects, as in a folder, or in a tag of each object: names with ":" between,
since a tag's value may hold no comma. An object without that tag falls back to `.readers.yaml`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from kiban.backends.sources.fetching import write
from kiban.backends.sources.readers import (
    PEOPLE,
    READERS,
    NearestReaders,
    audience_in,
    group_names,
    is_noise,
    is_plain,
    people_in,
)
from kiban.domain.access import NOBODY, Audience
from kiban.domain.document import Listed, Listing, SourceFile
from kiban.errors import DocumentError, GoneMeanwhile, PartUnavailable, SourceError, SourceRefused

_PIECE = 2**20  # bytes
_AT_ONCE = 16  # requests for tags
_ATTEMPTS = 6  # of one request, with growing pauses between
_GONE = frozenset(("NoSuchKey", "404", "NoSuchVersion"))
_REFUSED = frozenset(
    "NoSuchBucket AccessDenied AllAccessDisabled InvalidAccessKeyId SignatureDoesNotMatch ExpiredToken"
    " InvalidToken PermanentRedirect AuthorizationHeaderMalformed 301 401 403".split()
)
_log = logging.getLogger(__name__)


def connect(
    endpoint: str | None, region: str, access_key: str | None, secret_key: str | None, *, waits: float = 60
) -> Any:
    """Return a client. Without keys they come from where boto3 looks; `waits` is in seconds a read."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
            connect_timeout=10,
            read_timeout=waits,
            max_pool_connections=_AT_ONCE,
            response_checksum_validation="when_required",  # servers other than Amazon's know only some
            s3={"addressing_style": "path" if endpoint else "auto"},
        ),
    )


class S3Source:
    """Lists the objects of `bucket` below `prefix`. Every listing is whole: S3 remembers no deletions.

    `client` is what `connect` returns; `readers_tag` names the tag that holds readers, "" for none.
    """

    def __init__(
        self, name: str, client: Any, bucket: str, max_bytes: int, *, prefix: str = "", readers_tag: str = ""
    ) -> None:
        self.name = name
        self._client = client
        self._bucket = bucket
        self._max_bytes = max_bytes
        self._prefix = prefix
        self._readers_tag = readers_tag

    def listing(self, cursor: str = "") -> Listing:
        return Listing(self._entries())

    def fetch(self, listed: Listed, folder: Path) -> SourceFile:
        """Write what the object holds now. Raises GoneMeanwhile, OversizeFile, DocumentError."""
        with _meaning(listed.uri, one_object=True):
            found = self._client.get_object(Bucket=self._bucket, Key=self._prefix + listed.uri)
            now = replace(
                listed,
                tag=_tag(found["ETag"], found["ContentLength"]),
                size=found["ContentLength"],
                modified=found["LastModified"],
            )
            with closing(found["Body"]) as body:
                return write(body.iter_chunks(_PIECE), now, folder, listed.uri, self._max_bytes)

    def memberships(self) -> Mapping[str, frozenset[str]]:
        content = self._small(PEOPLE)
        return {} if content is None else people_in(content, f"{self._where}{PEOPLE}")

    @property
    def _where(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}"

    def _entries(self) -> Iterator[Listed]:
        readers = self._nearest_readers()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for page in self._pages():
                kept = [item for item in page if self._is_document(item["uri"])]
                audiences = pool.map(self._tagged, [item["uri"] for item in kept])
                for item, tagged in zip(kept, audiences, strict=True):
                    yield self._listed(item, readers.of(item["uri"]) if tagged is None else tagged)

    def _listed(self, item: Mapping[str, Any], audience: Audience) -> Listed:
        modified: datetime = item["LastModified"]
        return Listed(
            item["uri"],
            _tag(item["ETag"], item["Size"]),
            item["Size"],
            audience,
            url=self._where + item["uri"],
            modified=modified,
        )

    def _pages(self) -> Iterator[list[dict[str, Any]]]:
        """Yield up to 1000 objects at a time, each with its uri."""
        with _meaning(self._where):
            paginator = self._client.get_paginator("list_objects_v2")
            for page in paginator.paginate(Bucket=self._bucket, Prefix=self._prefix):
                yield [
                    {**item, "uri": item["Key"].removeprefix(self._prefix)}
                    for item in page.get("Contents", ())
                ]

    def _nearest_readers(self) -> NearestReaders:
        """Look through all names first: a folder's `.readers.yaml` may be listed after what it speaks of."""
        named: dict[str, Audience] = {}
        for page in self._pages():
            for item in page:
                folder, _, name = item["uri"].rpartition("/")
                if name == READERS:
                    content = self._small(item["uri"])
                    where = self._where + item["uri"]
                    named[folder] = NOBODY if content is None else audience_in(content, where)
        return NearestReaders(named)

    def _is_document(self, uri: str) -> bool:
        if not is_plain(uri):
            _log.warning("%s%r has a name that cannot be kept: left out", self._where, uri)
            return False
        return not uri.endswith("/") and not any(is_noise(step) for step in uri.split("/") if step)

    def _tagged(self, uri: str) -> Audience | None:
        """Return the audience that an object's tag names; None without the tag."""
        if not self._readers_tag:
            return None
        try:
            with _meaning(uri):
                found = self._client.get_object_tagging(Bucket=self._bucket, Key=self._prefix + uri)
        except GoneMeanwhile:
            return NOBODY
        for tag in found["TagSet"]:
            if tag["Key"] == self._readers_tag:
                return Audience(group_names(tag["Value"].split(":")) or frozenset())
        return None

    def _small(self, uri: str) -> bytes | None:
        """Return the content of a small object; None if there is none."""
        try:
            with _meaning(uri):
                found = self._client.get_object(Bucket=self._bucket, Key=self._prefix + uri)
                with closing(found["Body"]) as body:
                    content: bytes = body.read(1_000_001)
                    return content
        except GoneMeanwhile:
            return None


def _tag(etag: str, size: int) -> str:
    return f"{etag} {size}".replace('"', "")


@contextmanager
def _meaning(what: str, *, one_object: bool = False) -> Iterator[None]:
    """Say in our words what S3 answered."""
    try:
        yield
    except ClientError as error:
        raise _meant(error, what, one_object) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise SourceRefused(f"{what}: {error}", mend="set access_key and secret_key") from error
    except BotoCoreError as error:
        raise PartUnavailable(f"{what}: {error}") from error


def _meant(error: ClientError, what: str, one_object: bool) -> SourceError | DocumentError | PartUnavailable:
    code, told = str(error.response.get("Error", {}).get("Code", "")), f"{what}: {error}"
    if code in _GONE:
        return GoneMeanwhile(told)
    if one_object and code in ("AccessDenied", "InvalidObjectState", "403"):  # the others can still be read
        return DocumentError(told)
    return SourceRefused(told) if code in _REFUSED else PartUnavailable(told)
