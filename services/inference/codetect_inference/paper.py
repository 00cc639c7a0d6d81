"""The pages of a result's PDF: fonts, the words that no page may lack, and ways to write."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from fontTools.ttLib import TTFont
from fpdf import FPDF
from fpdf.enums import XPos, YPos
from fpdf.fonts import FontFace

from codetect_inference.explain import DISCLAIMER
from codetect_inference.schemas import AnalysisOut

FONTS = Path(__file__).parent / "fonts"
FAMILY = "DejaVu"
MARGIN, WIDTH, GAP, LINE = 16.0, 178.0, 4.0, 4.4  # mm, A4
INK, FAINT, ALARM, RULE = (25, 30, 36), (96, 103, 112), (150, 0, 38), (205, 209, 214)


class Paper(FPDF):
    """A page with the words that no page may lack."""

    def __init__(self, analysis: AnalysisOut) -> None:
        super().__init__(format="A4")
        assert analysis.finished_at
        self._analysis_id = str(analysis.id)
        self.set_creation_date(analysis.finished_at)
        self.set_title("CoDetect report")
        self.set_subject(DISCLAIMER)
        self.set_creator("CoDetect")
        self.set_lang("en")
        self.set_margins(MARGIN, MARGIN)
        self.set_auto_page_break(True, MARGIN + 6)
        self.add_font(FAMILY, "", FONTS / "DejaVuSans.ttf")
        self.add_font(FAMILY, "B", FONTS / "DejaVuSans-Bold.ttf")
        self.add_page()

    def header(self) -> None:
        """Name and warning, above each page."""
        self.write_as(15, bold=True)
        self.cell(70, 7, "CoDetect report")
        self.write_as(10, bold=True, colour=ALARM)
        self.cell(WIDTH - 70, 7, DISCLAIMER, align="R", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.rule()

    def footer(self) -> None:
        """The same below, and which page of what it is."""
        self.set_y(-MARGIN)
        self.rule()
        self.write_as(7, bold=True, colour=ALARM)
        self.cell(90, LINE, DISCLAIMER)
        self.write_as(7, colour=FAINT)
        self.cell(WIDTH - 90, LINE, f"Analysis {self._analysis_id}, page {self.page_no()} of {{nb}}")

    def facts(self, rows: Mapping[str, str]) -> None:
        """Names and values, line by line."""
        self.ln(1)
        for name, value in rows.items():
            self.write_as(8, colour=FAINT)
            self.cell(34, LINE, name)
            self.write_as(8)
            self.lines(value, WIDTH - 34)

    def rows(self, *rows: tuple[str, ...], widths: tuple[int, ...]) -> None:
        """A table under its headings."""
        self.write_as(8)
        self.set_draw_color(*RULE)
        self.set_fill_color(255)
        table = self.table(
            [[shown(cell) for cell in row] for row in rows],
            col_widths=widths,
            width=int(WIDTH),
            align="LEFT",
            text_align="LEFT",
            line_height=LINE,
            padding=0.6,
            borders_layout="HORIZONTAL_LINES",
            headings_style=FontFace(emphasis="", color=FAINT),
        )
        with table:
            pass

    def heading(self, text: str) -> None:
        """What follows."""
        self.ln(GAP)
        self.write_as(10.5, bold=True)
        self.lines(text, WIDTH, 5.5)

    def sentence(self, text: str, *, bold: bool = False, faint: bool = False, small: bool = False) -> None:
        """A paragraph."""
        self.write_as(7.5 if small else 8.5, bold=bold, colour=FAINT if faint else INK)
        self.lines(text, WIDTH, 3.9 if small else LINE)

    def lines(self, text: str, width: float, height: float = LINE) -> None:
        """Text that breaks, from where the pen is."""
        self.multi_cell(width, height, shown(text), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def write_as(self, size: float, *, bold: bool = False, colour: tuple[int, int, int] = INK) -> None:
        """Choose how text looks; sizes in points."""
        self.set_font(FAMILY, "B" if bold else "", size)
        self.set_text_color(*colour)

    def rule(self) -> None:
        """A line across."""
        self.set_draw_color(*RULE)
        self.set_line_width(0.3)
        self.line(MARGIN, self.get_y(), MARGIN + WIDTH, self.get_y())
        self.ln(1)


@cache
def _drawable() -> frozenset[int]:
    with TTFont(FONTS / "DejaVuSans.ttf", lazy=True) as font:
        return frozenset(font.getBestCmap()) | {ord("\n")}


def shown(text: str) -> str:
    """Text whose every character the fonts have; others become question marks, not holes."""
    return "".join(one if ord(one) in _drawable() else "?" for one in text)
