"""Search and ask as tools for agents: the Model Context Protocol, over HTTP beside chat and over stdio.

Who asks is never an argument. Over HTTP it is the bearer token of the very request that calls the tool (there
are no sessions that could outlive it), over stdio whoever the process was started for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, Request
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import ToolAnnotations
from pydantic import AwareDatetime, BaseModel, Field
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from kiban.domain.access import Principal
from kiban.domain.question import PROSE, Answer
from kiban.domain.question import Scope as About
from kiban.domain.roles import Caller, Right
from kiban.errors import KibanError, PartError
from services.chat.allowed import needed, require
from services.chat.errors import TOOLS
from services.chat.guard import caller_of
from services.chat.house import ChatHouse
from services.chat.scope_shapes import scope
from services.chat.search_shapes import (
    USUAL_LANES,
    FoundShape,
    Lane,
    PassageShape,
    found_shape,
    passage_shapes,
)
from services.chat.shapes import LONGEST_QUESTION, citation_json

ASKING = "kiban.caller"  # where a request's scope keeps who asks
NONE: list[str] = []  # no condition
Told = TypeVar("Told")
WhoAsks = Callable[[Context[Any, Any]], Caller]

INSTRUCTIONS = (
    "社内文書の検索と質問応答。呼び出した本人が読める文書だけを使います。"
    " / Search and questions over the company's documents, among those alone that the caller may read."
)
SEARCH = (
    "社内文書から、質問に関係する箇所を探して良い順に返します。文書名・版・ページなどの場所・原文つき。"
    " / Find passages in the company's documents, best first, each with its document, version, place and "
    "verbatim text."
)
ASK = (
    "社内文書だけを根拠に質問に答えます。引用は原文と一致することを確認済み。書かれていなければそう答えます。"
    " / Answer a question from the company's documents alone. Quotations are proven verbatim; when the "
    "documents do not say, so does the answer."
)

Words = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_QUESTION, description="質問または検索語 / a question or words"),
]
Limit = Annotated[int, Field(ge=1, le=50, description="件数の上限 / passages, at most")]
Lanes = Annotated[list[Lane], Field(min_length=1, description="検索の方式 / which lanes to search")]
Sources = Annotated[list[str], Field(description="この取得元の文書だけ / only documents of these sources")]
Under = Annotated[
    str,
    Field(
        max_length=2_000,
        description="URIがこれで始まる文書だけ / only documents whose uri begins so, e.g. minutes/",
    ),
]
Formats = Annotated[
    list[str],
    Field(description="この拡張子の文書だけ / only documents whose uri ends so, e.g. pdf"),
]
ModifiedFrom = Annotated[
    AwareDatetime | None,
    Field(description="この日時以降に更新（時差つき） / modified at or after this, with an offset"),
]
ModifiedBefore = Annotated[
    AwareDatetime | None,
    Field(description="この日時より前に更新（時差つき） / modified before this, with an offset"),
]


class CitationShape(BaseModel):
    """A quotation proven verbatim: characters `span` of the document's text are `quote`."""

    number: int = Field(description="The [n] in the text")
    document_id: int
    uri: str
    title: str
    version: int
    place: dict[str, str | int | None]
    span: tuple[int, int]
    quote: str


class AnswerShape(BaseModel):
    """An answer with its sources."""

    text: str
    abstained: bool = Field(description="The documents do not say")
    release: str
    citations: list[CitationShape]
    passages: list[PassageShape]


def tool_server(house: ChatHouse, who_asks: WhoAsks) -> MCPServer[Any]:
    """Return a server with both tools. `who_asks` is called for every call of a tool."""
    server: MCPServer[Any] = MCPServer(
        "kiban", title="Kiban 基盤", instructions=INSTRUCTIONS, log_level="WARNING"
    )
    reads = ToolAnnotations(read_only_hint=True, open_world_hint=False)

    @server.tool(title="社内文書を検索 / Search documents", description=SEARCH, annotations=reads)
    async def search(
        query: Words,
        context: Context[Any, Any],
        limit: Limit = 8,
        lanes: Lanes = USUAL_LANES,
        sources: Sources = NONE,
        under: Under = "",
        formats: Formats = NONE,
        modified_from: ModifiedFrom = None,
        modified_before: ModifiedBefore = None,
    ) -> FoundShape:
        about = scope(sources, under, formats, modified_from, modified_before)

        def found() -> FoundShape:
            return found_shape(
                query, house.search(query, _may(who_asks(context), Right.SEARCH), limit, lanes, about)
            )

        return await _in_words(asyncio.to_thread(found))

    @server.tool(title="社内文書に質問 / Ask the documents", description=ASK, annotations=reads)
    async def ask(
        question: Words,
        context: Context[Any, Any],
        sources: Sources = NONE,
        under: Under = "",
        formats: Formats = NONE,
        modified_from: ModifiedFrom = None,
        modified_before: ModifiedBefore = None,
    ) -> AnswerShape:
        about = scope(sources, under, formats, modified_from, modified_before)
        return await _in_words(_answer(house, question, about, lambda: _may(who_asks(context), Right.ASK)))

    return server


def mount(app: FastAPI, house: ChatHouse) -> None:
    """Serve the tools at /mcp of `app`, to whoever its bearer tokens prove."""
    server = tool_server(house, _caller_of_request)
    # A token is needed anyway, which no page of another site has: any host name may lead here.
    anywhere = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    server.streamable_http_app(stateless_http=True, json_response=True, transport_security=anywhere)
    app.router.routes.append(
        Route(TOOLS, _Proven(StreamableHTTPASGIApp(server.session_manager)), methods=["POST"])
    )
    app.state.tools = server.session_manager


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Run the tools' sessions for as long as the app runs."""
    async with app.state.tools.run():
        yield


class _Proven:
    """ASGI: lets a request through with who calls in its scope. Raises IdentityError, NotPermitted."""

    def __init__(self, app: StreamableHTTPASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[ASKING] = await caller_of(Request(scope), needed(scope["method"], TOOLS))
        await self._app(scope, receive, send)


def _may(caller: Caller, right: Right) -> Principal:
    """Return who calls a tool. Raises NotPermitted."""
    require(caller, right)
    return caller.who


def _caller_of_request(context: Context[Any, Any]) -> Caller:
    request = context.request_context.request
    assert request is not None
    caller = request.scope[ASKING]
    assert isinstance(caller, Caller)
    return caller


async def _answer(house: ChatHouse, question: str, about: About, who: Callable[[], Principal]) -> AnswerShape:
    principal = await asyncio.to_thread(who)
    async with aclosing(house.answer(question, (), principal, PROSE, about)) as pieces:  # type: ignore[type-var]
        async for piece in pieces:
            if isinstance(piece, Answer):
                return AnswerShape(
                    text=piece.text,
                    abstained=piece.abstained,
                    release=piece.release_id,
                    citations=[CitationShape(**citation_json(citation)) for citation in piece.citations],
                    passages=passage_shapes(piece.passages),
                )
    raise PartError("the answer has no end")


async def _in_words(work: Awaitable[Told]) -> Told:
    """Let the agent read what is wrong, when it is something we say on purpose."""
    try:
        return await work
    except KibanError as error:
        raise ToolError(str(error)) from error
