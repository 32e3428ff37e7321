"""The app: routes, guards and the page, around a house."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import cast

from fastapi import Depends, FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from services.chat import (
    completions,
    conversations,
    documents,
    embeddings,
    errors,
    feedback,
    identity,
    login,
    operation,
    responses,
    tools,
)
from services.chat import (
    office as offices,
)
from services.chat.allowed import require_listed
from services.chat.guard import Guard, admit
from services.chat.house import ChatHouse, Conversations, Desk, Entry, Office, Views
from services.chat.metrics import MeasureRequests, Metrics
from services.chat.quota import Bounded, Quota

PAGE = Path(__file__).parent / "page"


def create_app(
    house: ChatHouse,
    desk: Desk,
    kept: Conversations,
    views: Views,
    office: Office,
    quota: Quota | None = None,
    entry: Entry | None = None,
) -> FastAPI:
    """Return the app that answers for `house`, takes feedback at `desk`, keeps conversations in `kept`, shows
    `views` beside them, and lets those who run the house into its `office`. People log in at `entry`, where
    there is one."""
    # FastAPI's own documentation pages load scripts from elsewhere; the schema alone stays, for tools.
    app = FastAPI(
        title="Kiban",
        docs_url=None,
        redoc_url=None,
        lifespan=_running,
        dependencies=[Depends(admit)],
    )
    quota = quota or Quota()
    house = cast(ChatHouse, Bounded(house, quota))
    app.state.house = house
    app.state.quota = quota
    app.state.desk = desk
    app.state.kept = kept
    app.state.views = views
    app.state.office = office
    app.state.entry = entry
    app.state.tries = login.Tries()
    app.state.metrics = Metrics()
    errors.install(app)
    for part in (
        completions,
        responses,
        conversations,
        documents,
        embeddings,
        feedback,
        identity,
        login,
        offices,
        operation,
    ):
        app.include_router(part.router, responses={} if part is operation else errors.REFUSALS)
    tools.mount(app, house)
    for address, name in (("/", "index.html"), ("/operate", "operate.html")):
        app.add_api_route(address, partial(_page, name), include_in_schema=False)
    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    require_listed(app)
    app.add_middleware(Guard)
    app.add_middleware(MeasureRequests, metrics=app.state.metrics)
    return app


@asynccontextmanager
async def _running(app: FastAPI) -> AsyncIterator[None]:
    async with app.state.house.open(), tools.lifespan(app):
        yield


async def _page(name: str) -> FileResponse:
    return FileResponse(PAGE / name, headers={"Cache-Control": "no-cache"})
