"""API keys, private keys, passwords: patterns of detect-secrets, newer ones, and what a label announces."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from detect_secrets.plugins.aws import AWSKeyDetector
from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector
from detect_secrets.plugins.base import RegexBasedDetector
from detect_secrets.plugins.basic_auth import BasicAuthDetector
from detect_secrets.plugins.discord import DiscordBotTokenDetector
from detect_secrets.plugins.github_token import GitHubTokenDetector
from detect_secrets.plugins.gitlab_token import GitLabTokenDetector
from detect_secrets.plugins.high_entropy_strings import Base64HighEntropyString
from detect_secrets.plugins.jwt import JwtTokenDetector
from detect_secrets.plugins.mailchimp import MailchimpDetector
from detect_secrets.plugins.npm import NpmDetector
from detect_secrets.plugins.openai import OpenAIDetector
from detect_secrets.plugins.pypi_token import PypiTokenDetector
from detect_secrets.plugins.sendgrid import SendGridDetector
from detect_secrets.plugins.slack import SlackDetector
from detect_secrets.plugins.square_oauth import SquareOAuthDetector
from detect_secrets.plugins.stripe import StripeDetector
from detect_secrets.plugins.twilio import TwilioKeyDetector

from kiban.backends.sensitive.reading import Reading
from kiban.domain.sensitive import Finding, Kind

_PLUGINS: tuple[type[RegexBasedDetector], ...] = (
    AzureStorageKeyDetector, BasicAuthDetector, DiscordBotTokenDetector, GitHubTokenDetector,
    GitLabTokenDetector, MailchimpDetector, NpmDetector, OpenAIDetector, PypiTokenDetector, SendGridDetector,
    SlackDetector, SquareOAuthDetector, StripeDetector, TwilioKeyDetector,
)  # fmt: skip
_ISSUED = (
    AWSKeyDetector().denylist[0],
    *(pattern for plugin in _PLUGINS for pattern in plugin().denylist),
    re.compile(r"AIza[0-9A-Za-z_\-]{35}"),  # Google
    re.compile(r"GOCSPX-[\w\-]{28}|ya29\.[\w\-]{20,}"),
    re.compile(r"github_pat_\w{22,}"),
    re.compile(r"sk-(?:[a-z]+\d*-){0,2}[A-Za-z0-9_\-]{20,}"),  # OpenAI and those who write theirs alike
    re.compile(r"xapp-\d-[A-Z0-9]+-\d+-[a-f0-9]+|https://hooks\.slack\.com/services/T\w+/B\w+/\w+"),
    re.compile(r"hf_[A-Za-z0-9]{34}"),  # Hugging Face
    re.compile(r"[srp]k_(?:live|test)_[0-9A-Za-z]{24,}"),  # Stripe
)
# Where such a key begins: only from here on may white space be part of it, as in a narrow column.
_BEGINNING = re.compile(
    r"(?<![A-Za-z0-9])(?:A3T[A-Z0-9]|ABIA|ACCA|AKIA|ASIA|gh[pousr]_|github_pat_|glpat-|xox[a-z]-|xapp-|AIza|GOCSPX-"
    r"|ya29\.|sk-|[srp]k_(?:live|test)_|hf_|npm_|pypi-|SG\.|eyJ|AccountKey=|https://hooks\.slack)"
)
_PIECE = re.compile(r"\s{0,3}([A-Za-z0-9+/=_.:\-]+)")
_MOST_PIECES = 12
_LEFT_OVER = re.compile(r"\s[A-Za-z0-9]{1,3}(?=\s*(?:\n|$))")  # of a key, alone on the next line
_HEXADECIMAL = re.compile("[0-9a-f]+|[0-9A-F]+")
_HEXADECIMAL_REST = re.compile(r"\s([0-9a-fA-F]+)(?![A-Za-z0-9])")
_HEXADECIMAL_LENGTHS = (32, 40, 48, 64)
_FENCE = r"-{4,5} ?%s [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)? ?-{4,5}"
_PEM = re.compile(  # up to its end, or as far as lines of base64 go
    rf"{_FENCE % 'BEGIN'}"
    rf"(?:(?:(?!-{{4,5}} ?BEGIN).){{0,16000}}?{_FENCE % 'END'}|(?:\s*[A-Za-z0-9+/=]{{16,}})*)",
    re.DOTALL,
)

_PASSWORD = r"pass(?:word|wd|phrase)|pwd|パスワード|パスフレーズ|パスコード|暗証番号|\bPIN\b"
_KEY = (
    r"(?:api|access|secret|private|auth|client|account|signing|encryption|shared)[ _-]?(?:access[ _-]?)?"
    r"(?:key|token|secret)|\bsecret|token|bearer|credential|キー|トークン|シークレット|秘密鍵|共有鍵|認証情報"
)
_LABELLED = re.compile(
    rf"(?:(?P<password>{_PASSWORD})|(?P<key>{_KEY}))[\w ]{{0,16}}?[\"'」』]?\s{{0,2}}"
    rf"(?P<said>[:=]|は|が|\bis\b|(?=[「『])|(?<!\w)(?=\w))\s{{0,2}}[\"'「『`]?(?P<value>[!-&(-~]{{4,}})",
    re.IGNORECASE,
)
_CLOSING = re.compile(r"[\"'`」』,;.)\]]+$")
_PLACEHOLDER = re.compile(
    r"^(?:[*x.\-_#]+|<.*>?|\$.*|%.*|\{.*|\[.*|your.*|https?:.*|\w+\(.*|.*\(\)?|[\w.]+\[.*|none|null|true|false)$",
    re.IGNORECASE,
)
_LONG = re.compile(r"(?<![A-Za-z0-9+/=_\-.])[A-Za-z0-9+/_\-]{20,}={0,2}(?![A-Za-z0-9+/=_\-])")
_CONTEXT = re.compile(
    r"key|secret|token|credential|password|キー|鍵|トークン|シークレット|パスワード|認証", re.IGNORECASE
)
_entropy = Base64HighEntropyString().calculate_shannon_entropy
_DISORDER = 3.5  # bits a character: 20 random letters and digits have about 4, words 3 or less


def find(reading: Reading) -> Iterator[Finding]:
    for match in _PEM.finditer(reading.text):
        yield reading.finding(Kind.PRIVATE_KEY, *match.span())
    yield from _issued(reading)
    yield from _labelled(reading)
    for match in _LONG.finditer(reading.text):
        if _random(match[0]) and _CONTEXT.search(reading.before(match.start(), 40)):
            yield reading.finding(Kind.API_KEY, *match.span())


def _issued(reading: Reading) -> Iterator[Finding]:
    """Find keys that say by their form who issued them, in one piece or broken at the ends of lines."""
    for pattern in _ISSUED:
        for match in pattern.finditer(reading.text):
            yield reading.finding(Kind.API_KEY, *match.span())
    for beginning in _BEGINNING.finditer(reading.text):
        if end := _issued_end(reading.text, beginning.start()):
            yield reading.finding(Kind.API_KEY, beginning.start(), end)


def _issued_end(text: str, start: int) -> int:
    """Return where a key that begins here ends, white space within it allowed; 0 if none begins."""
    for heal in (_unlike_a_word, _anything):  # the rest of a key of fixed length may look like a word
        ends = []
        for joined, places in _healed(text, start, heal):
            matches = (pattern.match(joined) for pattern in _ISSUED)
            if end := max([_token_end(joined), *(match.end() for match in matches if match)]):
                ends.append(places[end - 1] + 1)
        if ends:
            return max(ends)
    return 0


def _healed(text: str, start: int, heal: Callable[[str], bool]) -> Iterator[tuple[str, list[int]]]:
    """Yield a word, and then with each of its continuations after white space, with every character's
    place; `heal` says what may be one."""
    joined, places, position = "", list[int](), start
    for number in range(_MOST_PIECES):
        piece = _PIECE.match(text, position)
        if not piece or (number and not heal(piece[1])):
            break
        joined += piece[1]
        places += range(piece.start(1), piece.end(1))
        position = piece.end()
        yield joined, places


def _anything(piece: str) -> bool:
    return True


def _unlike_a_word(piece: str) -> bool:
    """Tell the rest of a key from the words, numbers and part numbers that may follow one."""
    if re.fullmatch(r"[\d.,:/\-]+|[A-Z]{1,5}-\d[A-Z\d\-]*\.?", piece):
        return False
    return (
        re.search(r"\d", piece) is not None
        or re.search(r"[a-z][A-Z]|[A-Z]{3}|[A-Z][a-z][A-Z]", piece) is not None
    )


def _token_end(joined: str) -> int:
    """Return where the JSON Web Token that a word begins with ends; 0 if it is none."""
    header, _, rest = joined.partition(".")
    payload, _, rest = rest.partition(".")
    whole = re.match(r"[A-Za-z0-9_\-]*", rest)
    if not payload or not JwtTokenDetector.is_formally_valid(f"{header}.{payload}"):
        return 0
    return len(header) + len(payload) + 1 + (1 + whole.end() if whole and rest else 0)


def _labelled(reading: Reading) -> Iterator[Finding]:
    for match in _LABELLED.finditer(reading.text):
        value, start = _CLOSING.sub("", match["value"]), match.start("value")
        if _PLACEHOLDER.match(value):
            continue
        if match["password"] and match["said"] and _guarded(value, match["password"]):
            yield reading.finding(Kind.PASSWORD, start, start + len(value))
        elif match["key"]:
            joined, places = [("", list[int]()), *_healed(reading.text, start, _unlike_a_word)][-1]
            joined = _CLOSING.sub("", joined)
            if len(joined) >= 12 and _random(joined, between=""):
                end = places[len(joined) - 1] + 1
                yield reading.finding(Kind.API_KEY, start, _rest_end(joined, reading.text, end))


def _rest_end(joined: str, text: str, end: int) -> int:
    """Return where a key ends of which a line's end has left a rest that looks like a word or a number."""
    if _HEXADECIMAL.fullmatch(joined) and (rest := _HEXADECIMAL_REST.match(text, end)):
        if len(joined) + len(rest[1]) in _HEXADECIMAL_LENGTHS:
            return rest.end()
    left_over = _LEFT_OVER.match(text, end)
    return left_over.end() if left_over else end


def _guarded(value: str, label: str) -> bool:
    """Tell a password from the prose after the word "password"."""
    if label in ("暗証番号", "PIN"):
        return value.isdecimal() and len(value) in range(4, 9)
    if value.isdecimal():
        return len(value) in range(6, 13)
    classes = sum(re.search(kind, value) is not None for kind in (r"[a-z]", r"[A-Z]", r"\d", r"[^A-Za-z0-9]"))
    return len(value) >= 6 and classes >= 2 and re.search(r"\d|[!@#$%^&*?~+]", value) is not None


def _random(value: str, between: str = "+") -> bool:
    """Tell a key from words and numbers joined by signs: letters and digits in disorder."""
    if not re.search(r"\d", value) or not re.search(r"[A-Za-z]", value):
        return False
    pieces = [piece for piece in re.split(rf"[_\-.{between}]", value) if len(piece) >= 10]
    limit = _DISORDER - 0.7 * (re.fullmatch(r"[0-9a-fA-F\-]+", value) is not None)
    return any(re.search(r"\d", piece) for piece in pieces) and _entropy(value) > limit
