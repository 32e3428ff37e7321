"""Writes pptx: a title slide, then a slide per second-level heading, with its table and speaker notes."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import pptx
from pptx.presentation import Presentation
from pptx.slide import Slide
from pptx.util import Cm

from writers.office import settled, stamp
from writers.original import Block, Note, Original, Paragraph, Table, sections

TITLE_SLIDE, TITLE_AND_CONTENT = 0, 1


def write(original: Original) -> bytes:
    show = pptx.Presentation()
    stamp(show.core_properties, original.title)
    ((title, blocks),) = sections(original.blocks, 1)
    subtitle = next(block for block in blocks if isinstance(block, Paragraph))
    cover = show.slides.add_slide(show.slide_layouts[TITLE_SLIDE])
    cover.shapes.title.text = title
    cover.placeholders[1].text = "\n".join(subtitle.lines)
    for heading, below in sections(blocks, 2):
        _add_slide(show, heading, below)
    package = BytesIO()
    show.save(package)
    return settled(package)


def _add_slide(show: Presentation, heading: str, blocks: Sequence[Block]) -> None:
    slide = show.slides.add_slide(show.slide_layouts[TITLE_AND_CONTENT])
    slide.shapes.title.text = heading
    spoken: list[str] = []
    shown: list[str] = []
    for block in blocks:
        match block:
            case Paragraph(lines):
                shown.extend(lines)
            case Note(lines):
                spoken.extend(lines)
            case Table(rows):
                _add_table(slide, rows)
            case _:
                raise ValueError(f"a pptx original cannot hold {block}")
    slide.placeholders[1].text = "\n".join(shown)
    if spoken:
        slide.notes_slide.notes_text_frame.text = "\n".join(spoken)


def _add_table(slide: Slide, rows: Sequence[tuple[str, ...]]) -> None:
    frame = slide.shapes.add_table(len(rows), len(rows[0]), Cm(1.5), Cm(10.5), Cm(22), Cm(6))
    for row, texts in zip(frame.table.rows, rows, strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
