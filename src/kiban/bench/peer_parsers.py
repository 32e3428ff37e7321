"""Other parsers on the same files, in an environment of their own: markitdown and docling, where installed.
Docling's usual way needs models from a hub; its "native" way reads the text layer of a PDF without any.

Run as a script by that environment's Python, this file needs nothing of ours.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kiban.bench.parsed import Golds

_SECONDS_A_FILE = 120.0
_PEERS = ("markitdown", "docling", "docling native")


@dataclass(frozen=True, slots=True)
class Peer:
    """What another parser made of the files."""

    name: str
    version: str  # "" when it is not installed
    files: int
    parsed: int
    characters: int
    cpu_seconds: float  # without importing it
    failures: dict[str, int]
    recall: float | None  # mean over the files with a gold text that it parsed
    recalls: dict[str, float]
    cpu: dict[str, float]  # of each file it parsed


def run_peers(python: Path, files: Sequence[Path], golds: Golds) -> list[Peer]:
    """Run every peer over the files, one after another."""
    return [_run(python, name, files, golds) for name in _PEERS]


def _run(python: Path, name: str, files: Sequence[Path], golds: Golds) -> Peer:
    from kiban.bench.parsed import recall_of

    environment = {"HF_HUB_OFFLINE": "1", "LANG": "C.UTF-8", "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    told = subprocess.run(
        [python, __file__, name],
        input=json.dumps([str(file) for file in files]),
        capture_output=True,
        text=True,
        env=environment,
        timeout=60 + _SECONDS_A_FILE * len(files),
        check=False,
    )
    lines = [json.loads(line) for line in told.stdout.splitlines() if line.startswith("{")]
    version = next((line["version"] for line in lines if "version" in line), "")
    results = {line["file"]: line for line in lines if "file" in line}
    parsed = {file: line for file, line in results.items() if not line["error"]}
    recalls = {}
    for file, line in parsed.items():
        gold = golds.of(Path(file))
        if gold is not None and (kept := recall_of(gold, line["text"])) is not None:
            recalls[file] = kept
    return Peer(
        name,
        version,
        files=len(files),
        parsed=len(parsed),
        characters=sum(len(line["text"]) for line in parsed.values()),
        cpu_seconds=sum(line["cpu"] for line in results.values()),
        failures=dict(Counter(line["error"] for line in results.values() if line["error"]).most_common()),
        recall=sum(recalls.values()) / len(recalls) if recalls else None,
        recalls=recalls,
        cpu={file: line["cpu"] for file, line in parsed.items()},
    )


# The peer's side.


def main() -> None:
    """Convert the files named on standard input; say of each what it took and gave."""
    import signal
    from importlib.metadata import version

    replies, sys.stdout = sys.stdout, sys.stderr  # peers print
    name = sys.argv[1]
    convert = _CONVERTERS[name]()
    print(json.dumps({"version": version(name.split()[0])}), file=replies)

    def late(*_: Any) -> None:
        raise TimeoutError(f"more than {_SECONDS_A_FILE:g} s")

    signal.signal(signal.SIGALRM, late)
    for file in json.load(sys.stdin):
        began, text, error = time.process_time(), "", ""
        signal.setitimer(signal.ITIMER_REAL, _SECONDS_A_FILE)
        try:
            text = convert(file)
        except Exception as refusal:  # boundary: whatever a peer raises is its figure
            error = f"{type(refusal).__name__}: {refusal}"[:120]
        signal.setitimer(signal.ITIMER_REAL, 0)
        reply = {"file": file, "text": text, "error": error, "cpu": time.process_time() - began}
        print(json.dumps(reply), file=replies, flush=True)


def _markitdown() -> Callable[[str], str]:
    from markitdown import MarkItDown

    converter = MarkItDown()
    return lambda file: str(converter.convert(file).text_content)


def _docling() -> Callable[[str], str]:
    from docling.document_converter import DocumentConverter

    converter = DocumentConverter()
    return lambda file: str(converter.convert(file).document.export_to_markdown())


def _docling_native() -> Callable[[str], str]:
    from docling.datamodel.base_models import InputFormat
    from docling.document_converter import DocumentConverter, PdfFormatOption
    from docling.pipeline.native_pdf_pipeline import NativePdfPipeline

    options = {InputFormat.PDF: PdfFormatOption(pipeline_cls=NativePdfPipeline)}
    converter = DocumentConverter(format_options=options)
    return lambda file: str(converter.convert(file).document.export_to_markdown())


_CONVERTERS: dict[str, Callable[[], Callable[[str], str]]] = {
    "markitdown": _markitdown,
    "docling": _docling,
    "docling native": _docling_native,
}

if __name__ == "__main__":
    main()
