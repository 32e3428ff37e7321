"""Vectors over the API, through OpenAI's client in both encodings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import openai
import pytest

from services.chat.testing import MemoryHouse, serving


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> MemoryHouse:
    return MemoryHouse(tmp_path_factory.mktemp("keys"), {}, lambda turns: ())


@pytest.fixture(scope="module")
def client(house: MemoryHouse) -> Iterator[openai.OpenAI]:
    with (
        serving(house) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key=house.token("sato"), max_retries=0) as client,
    ):
        yield client


def vectors(client: openai.OpenAI, texts: str | list[str], **more: Any) -> np.ndarray[Any, Any]:
    reply = client.embeddings.create(model="kiban-embedder", input=texts, **more)
    return np.array([one.embedding for one in reply.data])


def test_the_vectors_are_those_of_the_house_in_either_encoding(
    house: MemoryHouse, client: openai.OpenAI
) -> None:
    texts = ["宿泊費の上限", "The hotel limit"]
    right = np.array(house.embed(texts, as_queries=False).vectors)
    assert np.allclose(vectors(client, texts), right)  # asked for in base64 by the client
    assert np.allclose(vectors(client, texts, encoding_format="float"), right)
    assert np.allclose(vectors(client, texts[0]), right[:1])
    assert np.allclose(vectors(client, texts, extra_body={"input_type": "query"}), -right)


def test_the_reply_says_what_was_read_and_by_which_release(house: MemoryHouse, client: openai.OpenAI) -> None:
    reply = client.embeddings.create(model="kiban-embedder", input=["abc", "de"])
    assert (reply.usage.prompt_tokens, [one.index for one in reply.data]) == (5, [0, 1])
    assert reply.kiban["release"] == house.release_id()  # type: ignore[attr-defined]


@pytest.mark.parametrize("texts", [[], [""], "", ["a"] * 257, "あ" * 40_000])
def test_what_makes_no_sense_is_refused_in_words(client: openai.OpenAI, texts: Any) -> None:
    with pytest.raises(openai.UnprocessableEntityError, match="input"):
        vectors(client, texts)


@pytest.mark.parametrize("name", ["kiban", "multilingual-e5-small", "base"])
def test_only_the_product_can_be_asked_for(client: openai.OpenAI, name: str) -> None:
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        client.embeddings.create(model=name, input="a")
