"""`python -m services.channels`: take what people ask from the chat platforms in the settings."""

from __future__ import annotations

from typing import cast

import uvicorn

from kiban.settings import load
from kiban.wiring import house
from kiban.wiring.channels import Answering, desk
from services.channels.app import create_app
from services.chat.house import ChatHouse
from services.chat.quota import Bounded, Quota


def main() -> None:
    settings = load()
    quota = Quota(
        settings.requests_per_minute,
        settings.answers_per_minute,
        settings.answers_at_once,
        settings.answers_at_once_each,
    )
    answers = cast(Answering, Bounded(cast(ChatHouse, house().answers), quota))
    uvicorn.run(
        create_app(desk(house().furniture, answers)),
        host=settings.host,
        port=settings.channels_port,
        log_level="info",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )


if __name__ == "__main__":
    main()
