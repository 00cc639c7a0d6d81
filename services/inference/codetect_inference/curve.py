"""The curve of slice scores in a PDF: one line a label, its threshold dashed, the top slices marked."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from fpdf import FPDF
from numpy.typing import NDArray

from codetect_inference.bundle import Bundle
from codetect_inference.paper import FAINT, FAMILY, shown

COLOURS = ((0, 90, 160), (190, 90, 0), (0, 130, 90), (130, 60, 150), (90, 90, 90))
LEFT, WIDTH, HEIGHT = 26.0, 166.0, 50.0  # mm
GRID = (225, 228, 232)


def curve(
    pdf: FPDF,
    bundle: Bundle,
    slices: int,
    read: NDArray[np.int32],
    chances: NDArray[np.float32],
    top: Sequence[int],
) -> None:
    """Draw it where the pen is: probabilities (n, labels) of the slices `read` (n,), of a series of so many."""
    if pdf.will_page_break(HEIGHT + 12):
        pdf.add_page()
    above = pdf.get_y() + 2
    pdf.set_font(FAMILY, "", 6.5)
    pdf.set_text_color(*FAINT)

    def x(n: float) -> float:
        return LEFT + (n + 0.5) / slices * WIDTH

    def y(chance: float) -> float:
        return above + HEIGHT * (1 - chance)

    pdf.set_line_width(0.15)
    pdf.set_draw_color(*GRID)
    for chance in (0, 0.25, 0.5, 0.75, 1):
        pdf.line(LEFT, y(chance), LEFT + WIDTH, y(chance))
        pdf.text(LEFT - 9, y(chance) + 0.8, f"{chance:.2f}")
    for n in sorted({0, *(round(share * (slices - 1)) for share in (0.25, 0.5, 0.75)), slices - 1}):
        said = str(n + 1)
        pdf.text(x(n) - pdf.get_string_width(said) / 2, above + HEIGHT + 3.5, said)
    for column, label in enumerate(bundle.labels):
        colour = COLOURS[column % len(COLOURS)]
        pdf.set_draw_color(*colour)
        pdf.set_fill_color(*colour)
        pdf.set_line_width(0.15)
        pdf.set_dash_pattern(dash=1, gap=1)
        pdf.line(LEFT, y(label.threshold), LEFT + WIDTH, y(label.threshold))
        pdf.set_dash_pattern()
        pdf.set_line_width(0.35)
        for part in _unbroken(read):
            points = [(x(int(read[row])), y(float(chances[row, column]))) for row in part]
            if len(points) > 1:
                pdf.polyline(points)
            else:
                _dot(pdf, *points[0], 0.4)
        for row in np.flatnonzero(np.isin(read, np.asarray(top))):
            _dot(pdf, x(int(read[row])), y(float(chances[row, column])), 0.8)
    pdf.set_xy(LEFT, above + HEIGHT + 4.5)
    _legend(pdf, bundle)
    pdf.set_x(pdf.l_margin)


def _unbroken(read: NDArray[np.int32]) -> list[NDArray[Any]]:
    """Rows in runs of neighbouring slices: between them the model read none, so no line is drawn."""
    return np.split(np.arange(len(read)), np.flatnonzero(np.diff(read) > 1) + 1)


def _dot(pdf: FPDF, x: float, y: float, radius: float) -> None:
    pdf.circle(x, y, radius, style="F")


def _legend(pdf: FPDF, bundle: Bundle) -> None:
    for column, label in enumerate(bundle.labels):
        pdf.set_text_color(*COLOURS[column % len(COLOURS)])
        pdf.set_x(LEFT)
        pdf.multi_cell(
            WIDTH, 3.6, shown(f"{label.title}; dashed: threshold of a slice {label.threshold:.2f}"), align="L"
        )
        pdf.set_x(LEFT)
    pdf.set_text_color(*FAINT)
    pdf.multi_cell(WIDTH, 3.6, "Dots: the slices that argue most. Gaps: slices that show no lung.", align="L")
