"""A CLIP model, small and untrained, loaded and asked as a real one is, from the jail to the answer."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPProcessor,
    PreTrainedTokenizerFast,
)

from kiban.backends.parsers.jail import JailedParser
from kiban.backends.parsers.worker_process import Limits
from kiban.backends.picture_embedder import ClipEmbedder
from kiban.backends.postgres.connect import Postgres
from kiban.backends.postgres.library import PostgresLibrary
from kiban.backends.postgres.queue import PostgresQueue
from kiban.backends.postgres.search import PostgresSearch
from kiban.domain.access import Principal
from kiban.domain.document import Picture
from kiban.domain.learning import Weights
from kiban.domain.release import Release
from kiban.errors import BadWeights, PartRefused
from kiban.ingest import absorb
from kiban.ingest.absorb import Cutter, Reading
from kiban.retrieve.search import PICTURES, find
from kiban.settings import Settings
from kiban.testing import HashEmbedder, MemorySource, WordTokenizer
from kiban.wiring.answers import Answers
from kiban.wiring.furniture import Furniture
from kiban.wiring.records import Records
from kiban.wiring.releases import Releases
from tests.unit.drawn import BLUE, RED, deck, report

START, END = "<|startoftext|>", "<|endoftext|>"
SIDE, TOKENS = 32, 77
QUESTION = "ポンプの図 / a drawing of a pump"


def make_clip(folder: Path, dimensions: int = 16) -> Path:
    """Write a CLIP of 30,000 parameters as sentence-transformers keeps one, its text by the byte."""
    inner = folder / "0_CLIPModel"
    inner.mkdir(parents=True)
    tokens = (START, *sorted(pre_tokenizers.ByteLevel.alphabet()), END)
    last = len(tokens) - 1
    words = Tokenizer(models.BPE({token: number for number, token in enumerate(tokens)}, []))
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.post_processor = processors.TemplateProcessing(f"{START} $A {END}", None, [(START, 0), (END, last)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, bos_token=START, eos_token=END, pad_token=END, model_max_length=TOKENS
    )
    seen = CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    CLIPProcessor(image_processor=seen, tokenizer=tokenizer).save_pretrained(inner)
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {"vocab_size": len(tokens), "max_position_embeddings": TOKENS, "bos_token_id": 0}
    text |= {"eos_token_id": last, "pad_token_id": last}
    torch.manual_seed(7)
    config = CLIPConfig(
        text_config=size | text,
        vision_config={**size, "image_size": SIDE, "patch_size": 8},
        projection_dim=dimensions,
    )
    CLIPModel(config).save_pretrained(inner)
    module = {"idx": 0, "name": "0", "path": inner.name, "type": "sentence_transformers.models.CLIPModel"}
    (folder / "modules.json").write_text(json.dumps([module]))
    (folder / "config_sentence_transformers.json").write_text("{}")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "small")


@pytest.fixture(scope="module")
def embedder(folder: Path) -> ClipEmbedder:
    return ClipEmbedder(Weights(folder, "clip-1"), device="cpu")


def picture(seed: int, width: int = 60, height: int = 40) -> Picture:
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return Picture(0, width, height, pixels.tobytes())


def test_pictures_and_questions_become_unit_vectors_of_one_space(embedder: ClipEmbedder) -> None:
    pictures = [picture(1), picture(2, 30, 300), picture(1)]
    vectors = np.asarray(embedder.pictures(pictures))
    asked = np.asarray([embedder.query(text) for text in (QUESTION, "x" * 1000)])
    assert vectors.shape[1] == asked.shape[1] == embedder.dimensions == 16
    for vector in (*vectors, *asked):
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert vectors[0] == pytest.approx(vectors[2], abs=1e-5)
    assert vectors[0] != pytest.approx(vectors[1], abs=1e-3)
    assert asked[0] != pytest.approx(asked[1], abs=1e-3)
    assert embedder.pictures([]) == []


def test_what_the_backend_says_is_what_the_model_says(embedder: ClipEmbedder, folder: Path) -> None:
    model = CLIPModel.from_pretrained(folder / "0_CLIPModel").eval()
    processor = CLIPProcessor.from_pretrained(folder / "0_CLIPModel", use_fast=False)
    shown = picture(3)
    image = Image.frombytes("RGB", (shown.width, shown.height), shown.rgb)
    with torch.no_grad():
        inputs = processor(text=[QUESTION], images=[image], return_tensors="pt", truncation=True)
        raw = model(**inputs)
    assert embedder.pictures([shown])[0] == pytest.approx(raw.image_embeds[0].numpy(), abs=1e-5)
    assert embedder.query(QUESTION) == pytest.approx(raw.text_embeds[0].numpy(), abs=1e-5)


def test_models_that_see_nothing_or_do_not_fit_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadWeights):
        ClipEmbedder(Weights(tmp_path, "none"), device="cpu")
    other = make_clip(tmp_path / "other", dimensions=8)
    with pytest.raises(BadWeights, match=r"16 .* 8"):
        ClipEmbedder(Weights(folder, "clip-1"), other, device="cpu")


def test_a_setting_turns_the_lane_on_and_without_it_no_picture_is_kept(folder: Path) -> None:
    on = Furniture(Settings(picture_embedder=str(folder), pictures=7, device="cpu"))
    assert on.picture_embedder is not None
    assert on.picture_embedder.dimensions == 16
    assert on.parser.limits.thumbnails == 7
    off = Furniture(Settings(picture_embedder="", device="cpu"))
    assert off.picture_embedder is None
    assert off.parser.limits.thumbnails == 0
    release = Release("llm", None, None, None, "e5", "0" * 64, 1, "1", None)
    nobody = Principal("nobody", frozenset())
    with pytest.raises(PartRefused, match="KIBAN_PICTURE_EMBEDDER"):
        Answers(off, Releases(off), Records(off)).find_with(release, QUESTION, nobody, 4, (PICTURES,))


def test_pictures_in_documents_are_found_by_those_who_may_read_them(
    embedder: ClipEmbedder, postgres: Postgres, admin: psycopg.Connection[tuple[Any, ...]], tmp_path: Path
) -> None:
    source = MemorySource()
    for name, content, readers in [("report.docx", report(), "hr"), ("deck.pptx", deck(), "everyone")]:
        source.write(name, content, readers)
    library, words, texts = PostgresLibrary(postgres), WordTokenizer(), HashEmbedder()
    generation = library.add_generation("hash", "0" * 64, texts.dimensions, words.name, "whole")
    with JailedParser(Limits(thumbnails=10)) as parser:
        reading = Reading(
            library, PostgresQueue(postgres), parser, (Cutter(words, {generation: texts}),), None, embedder
        )
        assert absorb.run(source, reading).failed == ()

    def seen(who: Principal) -> dict[str, float]:
        found = find(
            QUESTION, who, index=PostgresSearch(postgres), tokenizer=words, embedder=texts,
            generation=generation, lanes=(PICTURES,), picture_embedder=embedder,
        )  # fmt: skip
        assert [passage.score for passage in found] == sorted((p.score for p in found), reverse=True)
        return {passage.original: passage.score for passage in found}

    aoi, ken = Principal("aoi", frozenset({"hr"})), Principal("ken", frozenset())
    assert set(seen(ken)) == {"説明その2。", "説明その3。"}
    everything = seen(aoi)
    assert len(everything) == 4
    assert {text: everything[text] for text in seen(ken)} == seen(ken)

    kept = admin.execute("select caption, thumbnail, vector from kiban.picture order by 1, 2").fetchall()
    assert {caption for caption, _, _ in kept} >= {"図1 ポンプの外観", "Cut through a valve"}
    for _, thumbnail, _ in kept:
        with Image.open(BytesIO(thumbnail), formats=("PNG",)) as file:
            colour = file.getpixel((file.width // 2, file.height // 2))
            assert min(sum(abs(a - b) for a, b in zip(colour, one, strict=True)) for one in (RED, BLUE)) < 9
