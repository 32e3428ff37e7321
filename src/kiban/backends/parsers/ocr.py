"""Text in pictures (rapidocr: PP-OCR on onnxruntime; the models are in its wheel, and nothing is fetched)."""

from __future__ import annotations

import os
from functools import cached_property

from numpy import uint8
from numpy.typing import NDArray
from rapidocr import RapidOCR
from rapidocr.utils.output import RapidOCROutput

from kiban.backends.parsers.order import Line, in_reading_order

Picture = NDArray[uint8]  # height × width × 3

_SUREST = 0.5  # confidence below which a line is noise


class Recogniser:
    """Loads its models with the first picture. Uses as many threads as there are cores."""

    def lines(self, picture: Picture) -> list[str]:
        """Return the lines of a picture in reading order."""
        found = self._engine(picture)
        assert isinstance(found, RapidOCROutput)
        if found.boxes is None or found.txts is None or found.scores is None:
            return []
        lines = [
            Line(text, box[:, 0].min(), box[:, 1].min(), box[:, 0].max(), box[:, 1].max())
            for box, text, score in zip(found.boxes, found.txts, found.scores, strict=True)
            if score >= _SUREST and text.strip()
        ]
        return in_reading_order(lines)

    @cached_property
    def _engine(self) -> RapidOCR:
        threads = len(os.sched_getaffinity(0))
        return RapidOCR(
            params={
                "Global.log_level": "error",
                "EngineConfig.onnxruntime.intra_op_num_threads": threads,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )
