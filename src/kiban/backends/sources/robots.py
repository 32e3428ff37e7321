"""What a site asks of robots (protego; RFC 9309)."""

from __future__ import annotations

from urllib.parse import urlsplit

from protego import Protego

from kiban.backends.sources.safe_http import SafeHttp
from kiban.errors import PartUnavailable

_LARGEST = 500 * 1024  # bytes read of it
_LONGEST_DELAY = 30.0  # seconds


class Robots:
    """The robots.txt of each site, asked for once. Where it answers 5xx nothing may be fetched; where there
    is none, everything."""

    def __init__(self, http: SafeHttp, agent: str) -> None:
        self._http = http
        self._agent = agent
        self._rules: dict[str, Protego] = {}

    def allow(self, url: str) -> bool:
        return bool(self._of(url).can_fetch(url, self._agent))

    def delay(self, url: str) -> float:
        """Return the seconds to wait between two pages."""
        return min(float(self._of(url).crawl_delay(self._agent) or 0.0), _LONGEST_DELAY)

    def sitemaps(self, url: str) -> list[str]:
        return list(self._of(url).sitemaps)

    def _of(self, url: str) -> Protego:
        parts = urlsplit(url)
        site = f"{parts.scheme}://{parts.netloc}"
        if site not in self._rules:
            answer = self._http.get(f"{site}/robots.txt")
            if answer.status >= 500 or answer.status == 429:
                raise PartUnavailable(f"{site}/robots.txt answered {answer.status}")
            says = answer.body[:_LARGEST].decode(errors="replace") if answer.status == 200 else ""
            self._rules[site] = Protego.parse(says)
        return self._rules[site]
