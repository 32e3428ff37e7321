"""What the sources behind an API have in common when they write what they fetched, and name its readers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from kiban.domain.document import Listed, SourceFile
from kiban.errors import OversizeFile

_LONGEST_NAME = 200  # bytes; file systems allow 255


def group_name(*parts: str) -> str:
    """Return the name of a group in which no part can pretend to be two: a colon parts them, and a comma
    parts names elsewhere."""
    return ":".join(
        part.replace("%", "%25").replace(":", "%3A").replace(",", "%2C").replace("\0", "%00")
        for part in parts
    )


def write(pieces: Iterable[bytes], listed: Listed, folder: Path, name: str, max_bytes: int) -> SourceFile:
    """Write bytes into a file named after `name`. Raises OversizeFile as soon as they are too many."""
    if listed.size > max_bytes:
        raise OversizeFile(f"{name}: {listed.size} bytes, {max_bytes} allowed")
    path, size, digest = folder / file_name(name), 0, hashlib.sha256()
    with path.open("wb") as file:
        for piece in pieces:
            size += len(piece)
            if size > max_bytes:
                break
            digest.update(piece)
            file.write(piece)
    if size > max_bytes:
        path.unlink()
        raise OversizeFile(f"{name}: more than the {max_bytes} bytes allowed")
    return SourceFile(
        listed.uri,
        path,
        size,
        digest.hexdigest(),
        listed.audience,
        listed.tag,
        listed.url,
        listed.modified,
        listed.identity,
    )


def file_name(name: str) -> str:
    """Return a name that any file system takes, with its extension."""
    clean = "".join("_" if character in "/\\\0" or character < " " else character for character in name)
    suffix = PurePosixPath(clean).suffix[:20]
    stem = clean.removesuffix(suffix).encode()[: _LONGEST_NAME - len(suffix.encode())].decode(errors="ignore")
    return (stem.strip(". ") or "document") + suffix
