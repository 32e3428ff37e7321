"""The normal form is NFKC, and every character of it knows where it came from."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from kiban.domain.text import Span, normal_form

JAPANESE = st.text(st.sampled_from("ガｶﾞﾊﾟﾟﾞ㍿①Ⅳ㌔ＡＢ１２　ーﬁe\u0301\u0323か\u3099株あ漢𠮟"), max_size=40)
TEXTS = JAPANESE | st.text(max_size=60)


@given(TEXTS)
def test_the_pieces_make_the_normal_form_of_the_whole(text: str) -> None:
    assert normal_form(text).text == unicodedata.normalize("NFKC", text)


@given(TEXTS)
def test_origins_never_go_back_and_end_with_the_text(text: str) -> None:
    form = normal_form(text)
    assert len(form.origin) == len(form.text) + 1
    assert all(one <= other for one, other in pairwise(form.origin))
    assert form.origin[-1] == len(text)


@given(TEXTS, st.data())
def test_the_way_back_covers_what_was_asked(text: str, data: st.DataObject) -> None:
    form = normal_form(text)
    start = data.draw(st.integers(0, len(form.text)))
    end = data.draw(st.integers(start, len(form.text)))
    back = form.original(Span(start, end))
    assert Span(start, end).of(form.text) in unicodedata.normalize("NFKC", back.of(text))


def test_half_width_kana_comes_back_whole() -> None:
    form = normal_form("型ｶﾞｽｹｯﾄ")
    assert form.text == "型ガスケット"
    assert form.original(Span(1, 2)).of("型ｶﾞｽｹｯﾄ") == "ｶﾞ"
