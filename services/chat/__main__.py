"""`python -m services.chat`: serve the chat API and its page where the settings say."""

from __future__ import annotations

import uvicorn

from kiban.settings import load
from kiban.wiring import house
from services.chat.app import create_app
from services.chat.quota import Quota


def main() -> None:
    settings = load()
    uvicorn.run(
        create_app(
            house().answers,
            house().feedback,
            house().conversations,
            house().views,
            house().office,
            Quota(
                settings.requests_per_minute,
                settings.answers_per_minute,
                settings.answers_at_once,
                settings.answers_at_once_each,
            ),
            house().identity,
        ),
        host=settings.host,
        port=settings.chat_port,
        log_level="info",
        access_log=False,  # addresses of searches hold what people asked
        server_header=False,
        timeout_graceful_shutdown=5,
    )


if __name__ == "__main__":
    main()
