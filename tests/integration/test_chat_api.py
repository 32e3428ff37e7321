"""The chat service through the unmodified OpenAI client, over a real socket."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import openai
import pytest

from kiban.domain.access import EVERYONE
from kiban.domain.document import Place
from kiban.domain.question import Turn
from kiban.errors import NoSuchRelease, PartUnavailable
from services.chat.guard import LARGEST_BODY
from services.chat.testing import MemoryHouse, serving

HOTEL = "国内出張の宿泊費は11,000円を上限とする。東京２３区内に限り13,800円を上限とする。"
SALARY = "役員の基本報酬は月額1,840,000円とする。"
SAYS = "13,800円です。「東京23区内に限り13,800円を上限とする。」[1]「上限は無い。」[1]"


@dataclass
class Service:
    url: str
    house: MemoryHouse

    def client(self, subject: str = "sato") -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=self.house.token(subject), max_retries=0)

    def http(self, subject: str = "sato") -> httpx.Client:
        return httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {self.house.token(subject)}"}
        )


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="module")
def running(keys: Path) -> Iterator[Service]:
    house = MemoryHouse(keys, {"mori": frozenset({"hr"})}, _write)
    lodging, allowance = Place(page=4, heading="宿泊費"), Place(page=5)
    house.shelve("旅費規程", frozenset({EVERYONE}), (lodging, HOTEL), (allowance, "日当は1,200円。"))
    house.shelve("役員報酬規程", frozenset({"hr"}), (Place(page=1), SALARY))
    with serving(house) as url:
        yield Service(url, house)


@pytest.fixture
def service(running: Service) -> Service:
    """The running service, its house in order again."""
    house = running.house
    house.write, house.fails_with, house.pause = _write, None, 0.0
    house.parts = {"postgres": "ok", "vllm": "ok"}
    return running


def _write(turns: Sequence[Turn]) -> Sequence[str]:
    return SAYS


def ask(service: Service, question: str = "東京の宿泊費は？", subject: str = "sato", model: str = "kiban"):  # type: ignore[no-untyped-def]
    with service.client(subject) as client:
        return client.chat.completions.create(model=model, messages=[{"role": "user", "content": question}])


def test_a_whole_answer_comes_with_citations_that_are_verbatim(service: Service) -> None:
    reply = ask(service)
    assert reply.choices[0].message.content == (
        "13,800円です。「東京２３区内に限り13,800円を上限とする。」[1]上限は無い。"
    )
    [citation] = reply.kiban["citations"]
    start, end = citation["span"]
    assert HOTEL[start:end] == citation["quote"] == "東京２３区内に限り13,800円を上限とする。"
    assert (citation["title"], citation["place"]["page"], citation["version"]) == ("旅費規程", 4, 2)
    assert (reply.kiban["refused_quotes"], reply.kiban["abstained"]) == (1, False)
    assert reply.kiban["release"] == service.house.release_id()


def test_what_is_cited_is_named_as_openais_clients_know_it(service: Service) -> None:
    service.house.write = lambda turns: ("「日当は1,200円。」", "[2]")
    reply = ask(service, "東京の宿泊費と日当は？")
    message = reply.choices[0].message
    first, second = (one.url_citation for one in message.annotations or ())
    assert [first.title, second.title] == ["1. 旅費規程 (4ページ、宿泊費)", "2. 旅費規程 (5ページ)"]
    text = message.content or ""
    assert text[first.start_index : first.end_index] == ""  # it is not cited, and keeps the second its place
    assert text[second.start_index : second.end_index] == "[2]"
    with service.http() as http:
        place = http.get(second.url).json()
    assert second.url.startswith("/v1/documents/") and "日当は1,200円。" in str(place["passages"])
    with service.client() as client:
        asked = [{"role": "user", "content": "東京の宿泊費と日当は？"}]
        stream = client.chat.completions.create(model="kiban", messages=asked, stream=True)  # type: ignore[call-overload]
        told = [chunk.choices[0].delta.model_extra.get("annotations") for chunk in stream]
    assert told[-1] == [one.model_dump() for one in message.annotations or ()]
    assert not any(told[:-1])


def test_a_stream_says_the_same_and_ends_with_the_sources(service: Service) -> None:
    with service.client() as client:
        messages = [{"role": "user", "content": [{"type": "text", "text": "東京の宿泊費は？"}]}]
        stream = client.chat.completions.create(
            model="kiban",
            messages=messages,  # type: ignore[arg-type]
            stream=True,
            temperature=0.9,
            max_tokens=5000,
            user="someone-else",
        )
        chunks = list(stream)
    whole = ask(service)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == whole.choices[0].message.content
    assert chunks[-1].kiban == whole.kiban
    assert [chunk.choices[0].finish_reason for chunk in chunks[-2:]] == [None, "stop"]
    assert len(chunks) > 8 and len({chunk.id for chunk in chunks}) == 1


def test_what_the_asker_may_not_read_is_neither_answered_from_nor_named(service: Service) -> None:
    question = "役員の基本報酬は月額いくら？"
    with service.http() as http:
        refused = http.get("/v1/documents/2")
        assert (refused.status_code, refused.json()) == (404, http.get("/v1/documents/999").json())
        for reply in (ask(service, question).model_dump_json(), http.get("/v1/search?query=役員報酬").text):
            assert "役員報酬規程" not in reply and "1,840,000" not in reply
    assert "1,840,000" in ask(service, question, "mori").model_dump_json()


def test_only_the_token_says_who_asks(service: Service) -> None:
    with service.http() as http:
        body = {"query": "役員報酬", "user": "mori", "groups": ["hr"]}
        found = http.post("/v1/search", json=body, headers={"X-User": "mori", "X-Groups": "hr"})
    assert all(passage["title"] == "旅費規程" for passage in found.json()["data"])


def test_without_evidence_the_answer_is_an_abstention(service: Service) -> None:
    reply = ask(service, "xyzzy qwrt")
    assert reply.choices[0].message.content == "The documents do not say."
    assert reply.kiban["abstained"] and reply.kiban["passages"] == []


def test_search_only_asks_no_model(service: Service) -> None:
    service.house.fails_with = PartUnavailable("vLLM")
    reply = ask(service, "東京の宿泊費は？", model="kiban-search-only")
    assert reply.choices[0].message.content.startswith("1. 旅費規程 (4ページ、宿泊費)")
    assert reply.kiban["passages"][0]["text"] == HOTEL


def test_search_answers_to_get_and_post_alike(service: Service) -> None:
    with service.http() as http:
        posted = http.post("/v1/search", json={"query": "宿泊費", "limit": 1}).json()
        assert posted == http.get("/v1/search", params={"query": "宿泊費", "limit": 1}).json()
    [passage] = posted["data"]
    assert (passage["number"], passage["title"], passage["span"]) == (1, "旅費規程", [0, len(HOTEL)])


def test_search_says_where_each_passage_stands_and_which_lanes_found_it(service: Service) -> None:
    with service.http() as http:
        found = http.get("/v1/search", params={"q": "宿泊費", "lanes": "dense,lexical"}).json()
        lexical = http.get("/v1/search", params={"q": "宿泊費", "lanes": "lexical"}).json()
    first = found["data"][0]
    assert found["release"] == service.house.release_id()
    assert (first["place"]["page"], first["place"]["heading"], first["url"]) == (4, "宿泊費", "")
    assert [(why["lane"], why["rank"]) for why in first["why"]] == [("dense", 1), ("lexical", 1)]
    assert [why["lane"] for why in lexical["data"][0]["why"]] == ["lexical"]


@pytest.mark.parametrize(
    "asked", [{}, {"q": " "}, {"q": "a", "limit": 51}, {"q": "a", "limit": 0}, {"q": "a", "lanes": "magic"}]
)
def test_a_search_that_makes_no_sense_is_refused_in_words(service: Service, asked: dict[str, str]) -> None:
    with service.http() as http:
        reply = http.get("/v1/search", params=asked)
    assert reply.status_code == 422
    assert reply.json()["error"]["message"]


def test_the_schema_describes_the_search_with_an_example(service: Service) -> None:
    with service.http() as http:
        schema = http.get("/openapi.json").json()
    about = schema["paths"]["/v1/search"]["get"]
    assert {"q", "limit", "lanes"} <= {parameter["name"] for parameter in about["parameters"]}
    assert {"200", "401", "422", "503"} <= set(about["responses"])
    [example] = schema["components"]["schemas"]["FoundShape"]["examples"]
    assert example["data"][0]["why"]


def test_each_person_is_shown_the_documents_they_may_read(service: Service) -> None:
    for subject, titles in {"sato": ["旅費規程"], "mori": ["旅費規程", "役員報酬規程"]}.items():
        with service.http(subject) as http:
            found = http.get("/v1/documents").json()["data"]
        assert [one["title"] for one in found] == titles
        assert {one["state"] for one in found} == {"ready"}


def test_a_cited_place_can_be_opened_in_its_document(service: Service) -> None:
    with service.http() as http:
        opened = http.get("/v1/documents/1", params={"start": 5, "end": 9}).json()
    assert opened["title"] == "旅費規程"
    assert [passage["place"]["page"] for passage in opened["passages"]] == [4, 5]


def test_the_models_are_listed(service: Service) -> None:
    with service.client() as client:
        named = [model.id for model in client.models.list()]
        assert named == ["kiban", "kiban-search-only", "kiban-embedder"]
        assert client.models.retrieve("kiban").owned_by == "kiban"


@pytest.mark.parametrize("name", ["base", "kiban-adapter-7f3", "../kiban", "ｋｉｂａｎ", "zone-hr"])
def test_weights_cannot_be_asked_for_by_name(service: Service, name: str) -> None:
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        ask(service, model=name)


@pytest.mark.parametrize("path", ["/v1/models", "/v1/search?query=a", "/v1/documents/1", "/v1/documents"])
@pytest.mark.parametrize("header", ["", "Bearer", "Bearer a.b.c", "Basic c2F0bzpzYXRv"])
def test_every_route_with_documents_needs_a_token(service: Service, path: str, header: str) -> None:
    reply = httpx.get(service.url + path, headers={"Authorization": header} if header else {})
    assert (reply.status_code, reply.headers["www-authenticate"]) == (401, "Bearer")
    assert reply.json()["error"]["code"] == "invalid_api_key"


def test_the_openai_client_understands_our_errors(service: Service) -> None:
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key="x", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError, match="who asks"):
            client.models.list()
    with pytest.raises(openai.UnprocessableEntityError, match="at most"):
        ask(service, "あ" * 5000)


@pytest.mark.parametrize(
    "change",
    [
        {"n": 16384},
        {"messages": []},
        {"messages": [{"role": "assistant", "content": "はい"}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
        {"messages": [{"role": "user", "content": " "}]},
        {"messages": [{"role": "user", "content": "a"}] * 65},
        {"model": 7},
    ],
)
def test_what_makes_no_sense_is_refused_in_words(service: Service, change: dict[str, object]) -> None:
    body = {"model": "kiban", "messages": [{"role": "user", "content": "宿泊費は？"}]} | change
    with service.http() as http:
        reply = http.post("/v1/chat/completions", json=body)
    assert reply.status_code == 422
    assert reply.json()["error"]["message"]


@pytest.mark.parametrize("announced", [True, False])
def test_a_request_too_large_is_refused(service: Service, announced: bool) -> None:
    body = b" " * (LARGEST_BODY + 1)
    with service.http() as http:
        content = body if announced else iter([body[:1000], body[1000:]])
        reply = http.post("/v1/chat/completions", content=content)
    assert reply.status_code == 413
    assert str(LARGEST_BODY) in reply.json()["error"]["message"]


def test_a_part_that_fails_before_the_first_word_is_named_with_503(service: Service) -> None:
    service.house.write = lambda turns: ()
    service.house.fails_with = PartUnavailable("vLLM at http://gpu1:8000")
    with service.client() as client, pytest.raises(openai.InternalServerError, match="gpu1") as caught:
        client.chat.completions.create(
            model="kiban", messages=[{"role": "user", "content": "宿泊費は？"}], stream=True
        )
    assert caught.value.status_code == 503
    assert caught.value.response.headers["retry-after"]


def test_a_part_that_fails_half_way_ends_the_stream_with_an_error(service: Service) -> None:
    service.house.fails_with = PartUnavailable("vLLM at http://gpu1:8000")
    with service.client() as client:
        stream = client.chat.completions.create(
            model="kiban", messages=[{"role": "user", "content": "宿泊費は？"}], stream=True
        )
        with pytest.raises(openai.APIError, match="gpu1"):
            for _ in stream:
                pass


def test_a_house_without_a_release_says_so(service: Service) -> None:
    service.house.write = lambda turns: ()
    service.house.fails_with = NoSuchRelease("none is in force")
    with pytest.raises(openai.InternalServerError, match="none is in force"):
        ask(service)


def test_whoever_hangs_up_stops_the_model(service: Service) -> None:
    service.house.write = lambda turns: "長い話" * 1000
    service.house.pause = 0.01
    with service.client() as client:
        stream = client.chat.completions.create(
            model="kiban", messages=[{"role": "user", "content": "宿泊費は？"}], stream=True
        )
        next(iter(stream))
        assert service.house.listening == 1
        stream.close()
    deadline = time.monotonic() + 5
    while service.house.listening and time.monotonic() < deadline:
        time.sleep(0.01)
    assert service.house.listening == 0


def test_health_is_the_process_and_readiness_the_parts(service: Service) -> None:
    with service.http() as http:
        assert http.get("/readyz").json() == {"status": "ready", "parts": {"postgres": "ok", "vllm": "ok"}}
        service.house.parts = {"postgres": "ok", "vllm": "does not answer"}
        assert http.get("/healthz").status_code == 200
        unready = http.get("/readyz")
    assert (unready.status_code, unready.json()["parts"]["vllm"]) == (503, "does not answer")


def test_metrics_count_and_tell_nothing_about_people(service: Service) -> None:
    with service.http() as http:
        before = _meters(http.get("/metrics").text)
        ask(service)
        ask(service, "xyzzy")
        http.get("/v1/search", params={"query": "秘密の質問"})
        page = http.get("/metrics").text
    grown = {name: value - before.get(name, 0) for name, value in _meters(page).items()}
    assert grown["kiban_chat_answers_total"] == grown["kiban_chat_first_text_seconds_count"] == 2
    assert grown["kiban_chat_abstentions_total"] == grown["kiban_chat_refused_quotes_total"] == 1
    assert grown['kiban_chat_requests_total{route="/v1/chat/completions",status="200"}'] == 2
    for private in ("sato", "xyzzy", "秘密", "宿泊費", "旅費規程"):
        assert private not in page


def _meters(page: str) -> dict[str, float]:
    lines = (line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in lines}


@pytest.mark.parametrize("path", ["/", "/page/app.js", "/v1/models", "/nowhere", "/page/../app.py"])
def test_every_reply_tells_browsers_to_be_strict(service: Service, path: str) -> None:
    with service.http() as http:
        headers = http.get(path, headers={"Origin": "https://evil.example"}).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert not any(name.startswith("access-control") for name in headers)


def test_the_service_has_no_pages_that_load_from_elsewhere(service: Service) -> None:
    with service.http() as http:
        assert http.get("/docs").status_code == http.get("/redoc").status_code == 404
        assert http.get("/nowhere").json()["error"]["message"]
