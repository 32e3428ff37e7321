"""Ask a chat API as each client's documentation begins: `.venv-clients/bin/python ask.py URL TOKEN`.

One line of JSON a client: its version, and whether it said, streamed, and took a tool's call as expected.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version

QUESTION = "国内出張の宿泊費はいくらですか。"
EXPECTED = "11,000円"
Tried = dict[str, str]


def openai_python(url: str, token: str) -> Iterator[tuple[str, bool]]:
    import openai

    client = openai.OpenAI(base_url=f"{url}/v1", api_key=token)
    said = [{"role": "user", "content": QUESTION}]
    yield "models", "kiban" in [model.id for model in client.models.list()]
    reply = client.chat.completions.create(model="kiban", messages=said)  # type: ignore[arg-type]
    yield "chat", EXPECTED in (reply.choices[0].message.content or "")
    stream = client.chat.completions.create(model="kiban", messages=said, stream=True)  # type: ignore[arg-type]
    yield "stream", EXPECTED in "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    yield "responses", EXPECTED in client.responses.create(model="kiban", input=QUESTION).output_text
    with client.responses.stream(model="kiban", input=QUESTION) as events:
        yield "responses stream", EXPECTED in events.get_final_response().output_text
    vectors = client.embeddings.create(model="kiban-embedder", input=["宿泊費", "日当"]).data
    yield "embeddings", len(vectors) == 2
    tool = {"type": "function", "function": {"name": "rate", "parameters": {"type": "object"}}}
    asked = {"model": "kiban", "messages": said, "tools": [tool], "tool_choice": "required"}
    called = client.chat.completions.create(**asked)  # type: ignore[call-overload]
    yield "tools", called.choices[0].message.tool_calls[0].function.name == "rate"


def langchain(url: str, token: str) -> Iterator[tuple[str, bool]]:
    from langchain_core.messages import HumanMessage
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI, OpenAIEmbeddings

    @tool
    def rate(currency: str) -> float:
        """Return the rate of a currency."""
        return 163.2

    model = ChatOpenAI(model="kiban", base_url=f"{url}/v1", api_key=token)  # type: ignore[arg-type]
    yield "chat", EXPECTED in str(model.invoke([HumanMessage(QUESTION)]).content)
    yield "stream", EXPECTED in "".join(str(piece.content) for piece in model.stream(QUESTION))
    called = model.bind_tools([rate], tool_choice="any").invoke(QUESTION)
    yield "tools", called.tool_calls[0]["name"] == "rate"  # type: ignore[attr-defined]
    embedder = OpenAIEmbeddings(
        model="kiban-embedder",
        base_url=f"{url}/v1",
        api_key=token,  # type: ignore[arg-type]
        check_embedding_ctx_length=False,  # it would send numbers of another tokenizer
    )
    yield "embeddings", len(embedder.embed_documents(["宿泊費", "日当"])) == 2


def llama_index(url: str, token: str) -> Iterator[tuple[str, bool]]:
    from llama_index.core.llms import ChatMessage
    from llama_index.llms.openai_like import OpenAILike

    model = OpenAILike(model="kiban", api_base=f"{url}/v1", api_key=token, is_chat_model=True)
    said = [ChatMessage(role="user", content=QUESTION)]
    yield "chat", EXPECTED in str(model.chat(said).message.content)
    yield "stream", EXPECTED in "".join(piece.delta or "" for piece in model.stream_chat(said))
    yield "complete", EXPECTED in model.complete(QUESTION).text


CLIENTS: dict[str, tuple[str, Callable[[str, str], Iterator[tuple[str, bool]]]]] = {
    "openai-python": ("openai", openai_python),
    "LangChain": ("langchain-openai", langchain),
    "LlamaIndex": ("llama-index-llms-openai-like", llama_index),
}


def main() -> None:
    url, token = sys.argv[1:]
    for name, (package, tries) in CLIENTS.items():
        found: Tried = {}
        try:
            for what, well in tries(url, token):
                found[what] = "ok" if well else "not as expected"
        except Exception as error:  # whatever a client raises is what is to be told of it
            found["raised"] = f"{type(error).__name__}: {error}"[:300]
        print(json.dumps({"client": name, "version": version(package), "tried": found}), flush=True)


if __name__ == "__main__":
    main()
