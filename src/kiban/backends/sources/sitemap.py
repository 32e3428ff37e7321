"""What a sitemap lists (defusedxml; sitemaps.org protocol 0.9)."""

from __future__ import annotations

import zlib
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

_LARGEST = 50 * 2**20  # bytes unpacked, as the protocol says
_MOST = 50_000  # addresses in one


def read_sitemap(content: bytes) -> tuple[list[str], list[str]]:
    """Return the addresses of pages and of further sitemaps; none of what cannot be understood."""
    if content.startswith(b"\x1f\x8b"):
        unpack = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            content = unpack.decompress(content, _LARGEST)
        except zlib.error:
            return [], []
        if unpack.unconsumed_tail:
            return [], []
    try:
        root = fromstring(content, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError):
        return [], []
    found = [
        (entry.tag, (place.text or "").strip()) for entry in root for place in entry if _is(place.tag, "loc")
    ]
    pages = [address for tag, address in found if _is(tag, "url")]
    return pages[:_MOST], [address for tag, address in found if _is(tag, "sitemap")][:_MOST]


def _is(tag: str, name: str) -> bool:
    return tag.rpartition("}")[2] == name
