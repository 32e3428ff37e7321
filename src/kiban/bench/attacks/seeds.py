"""Secrets and personal data to sow in documents. None is anybody's: drawn by a seed, valid by form alone."""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Callable
from dataclasses import dataclass

from kiban.domain.sensitive import Kind

_ALNUM = string.ascii_letters + string.digits
_SURNAMES = "佐藤 鈴木 高橋 田中 渡辺 伊藤 山本 中村 小林 加藤 吉田 山田 佐々木 松本 木村 清水 長谷川".split()
_GIVEN = "太郎 花子 一郎 美咲 健太 陽子 翔太 由美 大輔 恵子 拓也 明美 直樹 智子 誠 真由美 和也".split()
_ENGLISH = "James Mary Robert Linda Michael Susan David Karen William Nancy Thomas Emily".split()
_FAMILY = "Smith Johnson Brown Wilson Taylor Anderson Harris Clark Lewis Walker Hall O'Brien".split()
_PLACES = (
    "東京都千代田区丸の内 大阪府大阪市北区梅田 愛知県名古屋市中区栄 北海道札幌市中央区北三条西 "
    "福岡県福岡市博多区博多駅前 神奈川県横浜市西区みなとみらい 京都府京都市下京区四条通 "
    "宮城県仙台市青葉区一番町 広島県広島市中区紙屋町 長野県松本市深志"
).split()
_BANKS = "三友銀行 基盤銀行 青葉信用金庫 みなと銀行 北山農業協同組合".split()
_HYPHENS = "-‐－−ー–"


@dataclass(frozen=True, slots=True)
class Seed:
    """Something sensitive, as it is written, in the sentence that holds it."""

    kind: Kind
    what: str
    sentence: str


Draw = Callable[[random.Random], Seed]


def draw(count: int, seed: int) -> list[Seed]:
    """Return as many of each kind as come out even, in no order."""
    dice = random.Random(seed)
    seeds = [_DRAWS[number % len(_DRAWS)](dice) for number in range(count)]
    dice.shuffle(seeds)
    return seeds


def _letters(dice: random.Random, count: int, of: str = _ALNUM) -> str:
    return "".join(dice.choice(of) for _ in range(count))


def _digits(dice: random.Random, count: int) -> str:
    return _letters(dice, count, string.digits)


def _written(dice: random.Random, number: str) -> str:
    """Write a number as offices do: some full-width, with any of the hyphens."""
    if dice.random() < 0.5:
        return number
    number = number.replace("-", dice.choice(_HYPHENS))
    wide = str.maketrans(string.digits, "０１２３４５６７８９")
    return number.translate(wide) if dice.random() < 0.5 else number


def _said(kind: Kind, *templates: str) -> Callable[[random.Random, str], Seed]:
    return lambda dice, what: Seed(kind, what, dice.choice(templates).format(what))


def _key(dice: random.Random) -> Seed:
    def b64(of: dict[str, str]) -> str:
        return base64.urlsafe_b64encode(json.dumps(of).encode()).decode().rstrip("=")

    token = f"{b64({'alg': 'HS256'})}.{b64({'sub': _digits(dice, 9), 'aud': 'erp'})}.{_letters(dice, 43)}"
    upper = string.ascii_uppercase + string.digits
    issued = (
        f"AKIA{_letters(dice, 16, upper)}", f"ghp_{_letters(dice, 36)}", f"github_pat_{_letters(dice, 60)}",
        f"xoxb-{_digits(dice, 12)}-{_digits(dice, 12)}-{_letters(dice, 24)}", f"AIza{_letters(dice, 35)}",
        f"sk-proj-{_letters(dice, 48)}", f"sk-{_letters(dice, 48)}", f"glpat-{_letters(dice, 20)}", token,
        f"sk_live_{_letters(dice, 24)}", f"hf_{_letters(dice, 34, string.ascii_letters)}",
    )  # fmt: skip
    templates = (
        "鍵は {} である。",
        "接続には{}を使う。",
        "Use {} for the build.",
        "設定値: {}",
        "The key was {}.",
    )
    return _said(Kind.API_KEY, *templates)(dice, dice.choice(issued))


def _generic_key(dice: random.Random) -> Seed:
    made = (_letters(dice, 40, _ALNUM + "/+"), _letters(dice, 32, "0123456789abcdef"), _letters(dice, 28))
    what = dice.choice([value for value in made if any(c.isdigit() for c in value)] or ["k3" + made[2]])
    templates = (
        "api_key = {}",
        "シークレットキー：{}",
        "secret_access_key: {}",
        'access token "{}"',
        "認証トークンは{}です。",
    )
    return _said(Kind.API_KEY, *templates)(dice, what)


def _private_key(dice: random.Random) -> Seed:
    name = dice.choice(("RSA PRIVATE KEY", "OPENSSH PRIVATE KEY", "EC PRIVATE KEY", "PRIVATE KEY"))
    body = "\n".join(_letters(dice, 64) for _ in range(dice.randint(4, 12)))
    return Seed(Kind.PRIVATE_KEY, what := f"-----BEGIN {name}-----\n{body}\n-----END {name}-----", what)


def _password(dice: random.Random) -> Seed:
    what = f"{_letters(dice, 5, string.ascii_letters)}{_digits(dice, 3)}{dice.choice('!?#%+')}"
    return _said(
        Kind.PASSWORD,
        "パスワード：{}",
        "password: {}",
        "初期パスワードは{}です。",
        "The password is {} for now.",
    )(dice, what)


def _card(dice: random.Random) -> Seed:
    prefix, length = dice.choice((("4", 16), ("53", 16), ("3566", 16), ("37", 15), ("2221", 16)))
    body = prefix + _digits(dice, length - 1 - len(prefix))
    total = sum(sum(divmod(int(digit) * 2, 10)) if even else int(digit) for even, digit in
                ((number % 2 == 0, digit) for number, digit in enumerate(reversed(body))))  # fmt: skip
    number = body + str(-total % 10)
    groups = (
        (number[:4], number[4:10], number[10:])
        if length == 15
        else [number[n : n + 4] for n in range(0, 16, 4)]
    )
    what = dice.choice((number, " ".join(groups), "-".join(groups)))
    return _said(
        Kind.CARD, "カード番号は{}である。", "card {} was charged.", "法人カード {}", "{} で決済した。"
    )(dice, _written(dice, what))


def _my_number(dice: random.Random) -> Seed:
    body = _digits(dice, 11)
    rest = (
        sum(
            int(digit) * (number + 2 if number < 6 else number - 4)
            for number, digit in enumerate(reversed(body))
        )
        % 11
    )
    number = body + str(0 if rest <= 1 else 11 - rest)
    what = dice.choice(
        (number, f"{number[:4]}-{number[4:8]}-{number[8:]}", f"{number[:4]} {number[4:8]} {number[8:]}")
    )
    templates = (
        "個人番号は{}である。",
        "マイナンバー：{}",
        "My Number: {}",
        "個人番号（マイナンバー）{} を届け出た。",
    )
    return _said(Kind.MY_NUMBER, *templates)(dice, _written(dice, what))


def _phone(dice: random.Random) -> Seed:
    def four() -> str:
        return str(dice.randint(2000, 9999))

    what = dice.choice(
        (f"0{dice.choice('789')}0-{four()}-{four()}", f"03-{four()}-{four()}", f"06-6{four()[1:]}-{four()}",
         f"045-{four()[1:]}-{four()}", f"0120-{four()[1:]}-{four()[1:]}", f"03({four()}){four()}",
         f"+81-90-{four()}-{four()}",
         f"090{four()}{four()}", f"+1 415 {dice.randint(220, 899)} {four()}")
    )  # fmt: skip
    return _said(
        Kind.PHONE, "電話は{}。", "連絡先 {} まで。", "TEL {}", "Call {} for help.", "内容は{}に確認する。"
    )(dice, _written(dice, what))


def _bank(dice: random.Random) -> Seed:
    bank, branch = dice.choice(_BANKS), dice.choice(("新宿", "本店", "駅前", "港"))
    templates = (f"{bank}{branch}支店 普通 {{}}",
                 f"振込先は{bank}{branch}支店、普通預金、口座番号{{}}とする。",
                 f"{bank} {branch}支店（当）{{}}", "Bank account number: {}", "口座番号：{}")  # fmt: skip
    return _said(Kind.BANK_ACCOUNT, *templates)(dice, _written(dice, _digits(dice, 7)))


def _address(dice: random.Random) -> Seed:
    def n(most: int) -> int:
        return dice.randint(1, most)

    place = dice.choice(_PLACES)
    japanese = dice.choice(
        (
            f"{place}{n(9)}-{n(30)}-{n(20)}",
            f"{place}{n(9)}丁目{n(30)}番{n(20)}号",
            f"〒{_digits(dice, 3)}-{_digits(dice, 4)} {place}{n(9)}-{n(30)}",
        )
    )
    if dice.random() < 0.25:
        english = f"{n(999)} {dice.choice(_FAMILY[:8])} {dice.choice(('Street', 'Avenue', 'Road'))}"
        return _said(Kind.ADDRESS, "Send it to {}.", "Address: {}")(dice, english)
    return _said(Kind.ADDRESS, "住所は{}。", "送付先：{}", "{}に居住する。")(dice, _written(dice, japanese))


def _person(dice: random.Random) -> Seed:
    if dice.random() < 0.3:
        english = f"{dice.choice(_ENGLISH)} {dice.choice(_FAMILY)}"
        return _said(Kind.PERSON, "Mr. {} agreed.", "Prepared by {}.", "Name: {}", "Dear {},")(dice, english)
    surname, given = dice.choice(_SURNAMES), dice.choice(_GIVEN)
    what = dice.choice((surname + given, f"{surname} {given}", surname))
    return _said(
        Kind.PERSON, "{}様に送る。", "担当：{}", "{}さんが出席した。", "氏名：{}", "{}部長が承認した。"
    )(dice, what)


def _email(dice: random.Random) -> Seed:
    domain = dice.choice(("example.co.jp", "example.com", "mail.example.org"))
    what = f"{dice.choice(_ENGLISH).lower()}.{_letters(dice, 5, string.ascii_lowercase)}@{domain}"
    return _said(Kind.EMAIL, "宛先は{}。", "Write to {} today.", "メール：{}")(dice, what)


def _papers(dice: random.Random) -> Seed:
    def letters(count: int) -> str:
        return _letters(dice, count, string.ascii_uppercase)

    def digits(count: int) -> str:
        return _digits(dice, count)

    social = f"{dice.randint(100, 599)}-{dice.randint(10, 99)}-{dice.randint(1000, 9999)}"
    kind, what, templates = dice.choice(
        (
            (Kind.PASSPORT, letters(2) + digits(7), ("旅券番号 {}", "passport {} was shown.")),
            (Kind.DRIVING_LICENCE, digits(12), ("運転免許証番号：{}", "driver's licence no. {}")),
            (Kind.RESIDENCE_CARD, letters(2) + digits(8) + letters(2), ("在留カード{}", "residence card {}")),
            (Kind.PENSION, f"{digits(4)}-{digits(6)}", ("基礎年金番号 {}", "年金番号：{}")),
            (Kind.SOCIAL_SECURITY, social, ("SSN {}", "social security number: {}")),
        )
    )  # fmt: skip
    return _said(kind, *templates)(dice, _written(dice, what))


_DRAWS: tuple[Draw, ...] = (
    _key, _key, _key, _generic_key, _private_key, _password, _card, _card, _my_number, _my_number, _phone,
    _phone, _bank, _address, _person, _email, _papers,
)  # fmt: skip
