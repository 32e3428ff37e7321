"""Asking Slack's Web API (slack-sdk)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.error import URLError

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from kiban.backends.sources.patience import NO_ANSWER, Patience, Reply

_PAGE = 200  # what Slack recommends
_NOT_LET_IN = frozenset(
    "invalid_auth not_authed account_inactive token_revoked token_expired missing_scope no_permission "
    "not_allowed_token_type ekm_access_denied access_denied enterprise_is_restricted".split()
)
_NOT_THERE = frozenset(("channel_not_found", "thread_not_found", "not_in_channel", "message_not_found"))
_BUSY = frozenset(
    "ratelimited rate_limited internal_error fatal_error service_unavailable request_timeout".split()
)


class SlackClient:
    """Every method of the Web API that lists something, page after page.

    The library's own handler of rate limits would sleep for however long Slack says.
    """

    def __init__(self, token: str, url: str, longest_wait: float) -> None:
        self._web = WebClient(token, base_url=f"{url.rstrip('/')}/", timeout=60, retry_handlers=[])
        self._patience = Patience((SlackClientError, URLError, OSError), _reply_of, longest_wait)

    def workspace(self) -> tuple[str, str]:
        """Return the id of the workspace and its address."""
        said = self._ask("auth.test", {})
        return str(said["team_id"]), str(said["url"])

    def users(self) -> Iterator[dict[str, Any]]:
        return self._all("users.list", "members", {})

    def conversations(self, types: str) -> Iterator[dict[str, Any]]:
        return self._all("conversations.list", "channels", {"types": types})

    def members(self, channel: str) -> Iterator[str]:
        return self._all("conversations.members", "members", {"channel": channel})

    def history(self, channel: str, oldest: float, latest: float | None = None) -> Iterator[dict[str, Any]]:
        """Yield messages from `oldest` to before `latest` (seconds since the epoch), the newest first."""
        until = {} if latest is None else {"latest": f"{latest - 1e-6:.6f}"}
        asked = {"channel": channel, "oldest": f"{oldest:.6f}", "inclusive": "true", **until}
        return self._all("conversations.history", "messages", asked)

    def replies(self, channel: str, thread: str) -> Iterator[dict[str, Any]]:
        """Yield the messages of a thread, the one replied to among them."""
        return self._all("conversations.replies", "messages", {"channel": channel, "ts": thread})

    def _all(self, method: str, what: str, asked: dict[str, str]) -> Iterator[Any]:
        cursor = ""
        while True:
            said = self._ask(method, {**asked, "limit": str(_PAGE), **({"cursor": cursor} if cursor else {})})
            yield from said[what]
            cursor = (said.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return

    def _ask(self, method: str, asked: dict[str, str]) -> Any:
        return self._patience.ask(
            method, lambda: self._web.api_call(method, http_verb="GET", params=asked).data
        )


def _reply_of(error: Exception) -> Reply:
    if not isinstance(error, SlackApiError):
        return Reply(NO_ANSWER, type(error).__name__)
    response: Any = error.response
    says = response.get("error", "") if hasattr(response, "get") else ""
    status = int(getattr(response, "status_code", 0))
    headers = {name.lower(): value for name, value in getattr(response, "headers", {}).items()}
    if says in _NOT_LET_IN:
        status = 403
    elif says in _NOT_THERE:
        status = 404
    return Reply(status, says, headers.get("retry-after", ""), busy=says in _BUSY)
