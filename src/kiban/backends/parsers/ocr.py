"""Text in pictures (rapidocr: PP-OCR on onnxruntime; the models are in its wheel, and nothing is fetched)."""

from __future__ import annotations

import os
from functools import cached_property

import numpy as np
from numpy import float32, uint8
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
            Line(text, *box)
            for box, text, score in zip(_upright(found.boxes), found.txts, found.scores, strict=True)
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


def _upright(boxes: NDArray[float32]) -> list[tuple[float, float, float, float]]:
    """Return left, top, right, bottom of four-cornered boxes, turned back by the angle most of them lean.

    On a page scanned a degree askew, a line ends where the next one begins.
    """
    edges = boxes[:, 1] - boxes[:, 0]
    edges = edges[
        np.abs(edges[:, 0]) > np.abs(edges[:, 1])
    ]  # of lines across; others say nothing of the angle
    angle = float(np.median(np.arctan2(edges[:, 1], edges[:, 0]))) if len(edges) else 0.0
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = boxes @ turn
    return [(*box.min(axis=0).tolist(), *box.max(axis=0).tolist()) for box in points]
