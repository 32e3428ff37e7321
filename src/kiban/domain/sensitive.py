"""Secrets and personal data: where they stand in a text, and the text without them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from kiban.domain.text import Span


class Kind(StrEnum):
    PRIVATE_KEY = "private key"
    API_KEY = "API key"
    PASSWORD = "password"
    CARD = "card number"
    MY_NUMBER = "My Number"
    SOCIAL_SECURITY = "social security number"
    PASSPORT = "passport number"
    DRIVING_LICENCE = "driving licence number"
    RESIDENCE_CARD = "residence card number"
    PENSION = "pension number"
    BANK_ACCOUNT = "bank account"
    EMAIL = "e-mail address"
    PHONE = "phone number"
    ADDRESS = "address"
    PERSON = "name"


SECRETS = frozenset({Kind.PRIVATE_KEY, Kind.API_KEY, Kind.PASSWORD})  # open doors; the others are of people

_JAPANESE = {
    Kind.PRIVATE_KEY: "秘密鍵",
    Kind.API_KEY: "APIキー",
    Kind.PASSWORD: "パスワード",
    Kind.CARD: "カード番号",
    Kind.MY_NUMBER: "個人番号",
    Kind.SOCIAL_SECURITY: "社会保障番号",
    Kind.PASSPORT: "旅券番号",
    Kind.DRIVING_LICENCE: "免許証番号",
    Kind.RESIDENCE_CARD: "在留カード番号",
    Kind.PENSION: "基礎年金番号",
    Kind.BANK_ACCOUNT: "口座番号",
    Kind.EMAIL: "メールアドレス",
    Kind.PHONE: "電話番号",
    Kind.ADDRESS: "住所",
    Kind.PERSON: "氏名",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something sensitive in a text."""

    kind: Kind
    span: Span

    def shifted(self, by: int) -> Finding:
        return Finding(self.kind, self.span.shifted(by))

    def overlaps(self, span: Span) -> bool:
        return self.span.start < span.end and span.start < self.span.end


def apart(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings in order, none overlapping: those that overlap become one, of the kind that opens
    more doors (the order of `Kind`)."""
    rank = {kind: number for number, kind in enumerate(Kind)}
    kept: list[Finding] = []
    for finding in sorted(findings, key=lambda finding: (finding.span.start, finding.span.end)):
        if kept and finding.span.start < kept[-1].span.end:
            last = kept.pop()
            kind = min(last.kind, finding.kind, key=rank.__getitem__)
            finding = Finding(kind, Span(last.span.start, max(last.span.end, finding.span.end)))
        kept.append(finding)
    return tuple(kept)


def within(findings: Iterable[Finding], span: Span) -> tuple[Finding, ...]:
    """Return what of the findings lies in `span`, counted from its start."""
    return tuple(
        Finding(finding.kind, Span(max(finding.span.start, span.start), min(finding.span.end, span.end)))
        .shifted(-span.start)
        for finding in findings
        if finding.overlaps(span)
    )  # fmt: skip


def mask(text: str, findings: Iterable[Finding]) -> str:
    """Return the text with 〔電話番号〕, in one without kana and kanji 〔phone number〕, in their place."""
    japanese = re.search("[ぁ-ヿ一-龥]", text) is not None
    pieces, end = [], 0
    for finding in apart(findings):
        label = _JAPANESE[finding.kind] if japanese else finding.kind.value
        pieces += [text[end : finding.span.start], f"〔{label}〕"]
        end = finding.span.end
    return "".join([*pieces, text[end:]])
