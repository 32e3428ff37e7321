"""Pictures of one colour, and files that hold them."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO

import docx
import pptx
from PIL import Image
from pptx.util import Cm
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

RED, GREEN, BLUE = (220, 30, 30), (30, 200, 30), (30, 30, 220)


def drawing(colour: tuple[int, int, int], size: tuple[int, int] = (400, 200), kind: str = "PNG") -> bytes:
    made = BytesIO()
    Image.new("RGB", size, colour).save(made, kind)
    return made.getvalue()


def report() -> bytes:
    """Return a Word document: a red pump under 構造, a logo too small to count, a blue valve under Valve."""
    document = docx.Document()
    document.add_heading("点検報告書", 0)
    document.add_heading("構造", 1)
    document.add_paragraph("ポンプの構造を次の図に示す。")
    document.add_picture(BytesIO(drawing(RED)))
    document.add_paragraph("図1 ポンプの外観")
    document.add_picture(BytesIO(drawing(GREEN, (40, 40))))
    document.add_heading("Valve", 1)
    document.add_paragraph("The valve is shown below.")
    document.add_picture(BytesIO(drawing(BLUE, kind="JPEG")))
    document.inline_shapes[2]._inline.docPr.set("descr", "Cut through a valve")
    return _saved(document)


def deck() -> bytes:
    """Return three slides of text; the second shows red, the third red again, and blue."""
    presentation = pptx.Presentation()
    for number, colours in enumerate([(), (RED,), (RED, BLUE)], start=1):
        slide = presentation.slides.add_slide(presentation.slide_layouts[1])
        slide.shapes.title.text = f"第{number}章"
        slide.placeholders[1].text = f"説明その{number}。"
        for down, colour in enumerate(colours):
            slide.shapes.add_picture(BytesIO(drawing(colour)), Cm(1), Cm(5 + down), Cm(4), Cm(2))
    return _saved(presentation)


def pdf() -> bytes:
    """Return two pages with text; on the second a green picture over its caption."""
    made = BytesIO()
    pdfmetrics.registerFont(UnicodeCIDFont("HeiseiMin-W3"))
    canvas = Canvas(made)
    for text in (
        "一ページ目には図がない。設備の一覧は別に定める。",
        "二ページ目には配管の図を載せる。弁の位置を確かめること。",
    ):
        canvas.setFont("HeiseiMin-W3", 10.5)
        canvas.drawString(70, 770, text)
        if text.startswith("二"):
            canvas.drawImage(ImageReader(BytesIO(drawing(GREEN))), 70, 600, 100, 50)
            canvas.drawString(70, 580, "図2 配管")
        canvas.showPage()
    canvas.save()
    return made.getvalue()


def page() -> bytes:
    """Return a web page with a picture in itself, one elsewhere, and one that is no picture."""
    inside = b64encode(drawing(BLUE)).decode()
    broken = b64encode(b"no picture").decode()
    return f"""<html><head><title>設備</title></head><body>
    <h1>設備</h1><h2 id="a">概要</h2><p>設備の概要。</p>
    <img src="https://example.com/far.png" alt="遠く"><img src="data:image/png;base64,{broken}">
    <h2 id="b">冷却</h2><p>冷却水は青い。</p>
    <figure><img src="data:image/png;base64,{inside}"><figcaption>冷却系統</figcaption></figure>
    </body></html>""".encode()


def _saved(document: docx.document.Document | pptx.presentation.Presentation) -> bytes:
    made = BytesIO()
    document.save(made)
    return made.getvalue()
