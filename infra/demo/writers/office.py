"""What the three office formats share: a fixed author and time, and a zip whose bytes never change."""

from __future__ import annotations

import re
import zipfile
from datetime import UTC, datetime
from io import BytesIO
from typing import Protocol

from writers.original import EPOCH

MADE = datetime.fromtimestamp(EPOCH, UTC).replace(tzinfo=None)
AUTHOR = "霧沢計器株式会社"
MODIFIED = re.compile(rb"(<dcterms:modified[^>]*>)[^<]*(</dcterms:modified>)")


class Properties(Protocol):
    title: str
    author: str
    last_modified_by: str
    comments: str
    created: datetime
    modified: datetime


def stamp(properties: Properties, title: str) -> None:
    """Replace what the library's template says about author and time."""
    properties.title = title
    properties.author = properties.last_modified_by = AUTHOR
    properties.comments = ""
    properties.created = properties.modified = MADE


def settled(package: BytesIO) -> bytes:
    """Return the same zip package with the fixed time on every entry.

    openpyxl writes the present into docProps/core.xml whatever it is told, so that is mended too.
    """
    result = BytesIO()
    with zipfile.ZipFile(package) as old, zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "docProps/core.xml":
                content = MODIFIED.sub(rb"\g<1>" + MADE.isoformat().encode() + rb"Z\g<2>", content)
            entry = zipfile.ZipInfo(name, MADE.timetuple()[:6])
            entry.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(entry, content)
    return result.getvalue()
