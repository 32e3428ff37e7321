"""`.venv/bin/python infra/bench/open_webui [PICTURE]`: Open WebUI before our chat API, in a real browser.

Serves the chat API over a house in memory and starts the unmodified Open WebUI before it, once as it is and
once with infra/open-webui.env. Signs in, picks "kiban", asks in Japanese, and waits for the quotation and the
name of its source. Tells what our API was asked meanwhile; the page must ask others for nothing. Needs
Chromium, what the tests need (make setup-tests), and Open WebUI itself (python3 infra/setup --open-webui).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(Path(__file__).parent)]

from browsing import ask_in_browser  # noqa: E402
from running import SETTINGS, asked_house, open_webui  # noqa: E402

AS_IT_IS = (
    "ENABLE_OLLAMA_API",
    "OFFLINE_MODE",
    "RAG_EMBEDDING_ENGINE",
)  # else it fetches models at its start


def main(picture: Path | None) -> None:
    ways = {"as it is": {name: SETTINGS[name] for name in AS_IT_IS}, "infra/open-webui.env": SETTINGS}
    for way, settings in ways.items():
        with tempfile.TemporaryDirectory(prefix="kiban-open-webui-") as name:
            folder = Path(name)
            with asked_house(folder) as house, open_webui(folder, house, settings) as (url, version):
                seen = ask_in_browser(url, picture if settings is SETTINGS else None)
        print(
            f"\nOpen WebUI {version}, {way}: answered in pieces ({seen.pieces} seen), source {seen.source!r}"
        )
        print(f"  to choose from: {', '.join(seen.models)}; asked of others by the page: {len(seen.foreign)}")
        for what in house.asked:
            print(f"  {what}")
        if seen.foreign:
            sys.exit(f"The page asked others: {seen.foreign}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
