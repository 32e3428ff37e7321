"""From Slack's mrkdwn to HTML that says what a person saw."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping

_CODE = re.compile(r"```(.+?)```", re.DOTALL)
_ANGLED = re.compile(r"<([^<>]+)>")
_STYLED = re.compile(r"(?<![\w*_~`])([*_~`])(?=\S)(.+?)(?<=\S)\1(?![\w*_~`])")


def mrkdwn_html(text: str, names: Mapping[str, str], channels: Mapping[str, str]) -> str:
    """Return the inside of an HTML block. `names` and `channels` are by id; who is not there stays an id."""
    parts = _CODE.split(text)
    shown = [
        f"<pre>{_angled(part, names, channels)}</pre>" if number % 2 else _prose(part, names, channels)
        for number, part in enumerate(parts)
    ]
    return "".join(shown)


def _prose(text: str, names: Mapping[str, str], channels: Mapping[str, str]) -> str:
    plain = _STYLED.sub(r"\2", _angled(text, names, channels))
    return plain.strip("\n").replace("\n", "<br>")


def _angled(text: str, names: Mapping[str, str], channels: Mapping[str, str]) -> str:
    """Resolve <…>, and escape for HTML what Slack has escaped already, and what it has not."""
    pieces = _ANGLED.split(text)
    resolved = (_resolved(piece, names, channels) if n % 2 else piece for n, piece in enumerate(pieces))
    return "".join(html.escape(html.unescape(piece), quote=False) for piece in resolved)


def _resolved(inside: str, names: Mapping[str, str], channels: Mapping[str, str]) -> str:
    target, _, label = inside.partition("|")
    known: dict[str, Callable[[], str]] = {
        "@": lambda: "@" + (names.get(target[1:]) or label or target[1:]),
        "#": lambda: "#" + (channels.get(target[1:]) or label or target[1:]),
        "!": lambda: label or "@" + target[1:].split("^")[0],
    }
    if target[:1] in known:
        return known[target[:1]]()
    return f"{label} ({target})" if label and label not in target else target
