"""A bucket on a moto server, a process of its own."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError

from kiban.backends.sources.s3 import S3Source, connect
from source_places import PlainGroups

_numbers = itertools.count(1)


@contextmanager
def server(port: int) -> Iterator[str]:
    """Run a server that speaks S3, and give its address."""
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(600):
            try:
                urllib.request.urlopen(url, timeout=5).close()
                break
            except (URLError, OSError):
                assert process.poll() is None, "moto ended"
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()


def client_of(url: str) -> Any:
    return connect(url, "us-east-1", "key", "secret", waits=5)


class BucketPlace(PlainGroups):
    keeps_versions = False
    changes_in_place = True

    def __init__(self, url: str) -> None:
        self.client = client_of(url)
        self.bucket = f"bucket-{next(_numbers)}"
        self.client.create_bucket(Bucket=self.bucket)

    def readers(self, folder: str, *groups: str) -> None:
        self.put(f"kb/{folder}/.readers.yaml", f"readers: [{', '.join(groups)}]")

    def write(self, name: str, text: str) -> None:
        self.put(f"kb/{name}.md", text)

    def put(self, key: str, text: str) -> None:
        self.client.put_object(Bucket=self.bucket, Key=key, Body=text.encode())

    def remove(self, name: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=f"kb/{name}.md")

    def uri(self, name: str) -> str:
        return f"{name}.md"

    def source(self, kept: Path, max_bytes: int = 100_000) -> S3Source:
        return S3Source("bucket", self.client, self.bucket, max_bytes, prefix="kb/")

    def unreachable(self, kept: Path) -> S3Source:
        return S3Source("bucket", client_of("http://127.0.0.1:9"), self.bucket, 1)
