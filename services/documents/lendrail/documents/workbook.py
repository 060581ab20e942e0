"""Draws a sheet as an xlsx file: the same bytes for the same sheet, and no text ever becomes a formula or a link.

Runs in a process of its own, so it imports nothing but the library that writes.
"""

from __future__ import annotations

import io
from typing import Any

from xlsxwriter import Workbook

from lendrail.documents.sheet import Cell, Facts, Sheet, Table

LAST = 7
"""The last column in use."""
WIDTHS = (27, 20, 17, 19, 17, 24, 19, 36)
FACT_CHARACTERS = 130
"""About what fits in one line from the second column to the last."""
LINE_POINTS = 15
TALLEST = 409
"""Points; a row cannot be higher."""
INK, PAPER, RULE = "#1F3A5F", "#E8EEF5", "#B8C4D2"
OPTIONS = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}


def render(sheet: Sheet) -> bytes:
    buffer = io.BytesIO()
    book = Workbook(buffer, OPTIONS)
    book.set_properties({"title": sheet.title, "author": "Lendrail", "created": sheet.made})
    _Drawing(book, sheet).draw()
    book.close()
    return buffer.getvalue()


class _Drawing:
    def __init__(self, book: Any, sheet: Sheet) -> None:
        self._book, self._sheet, self._row = book, sheet, 0
        self._page = book.add_worksheet("Application")
        self._title = book.add_format({"bold": True, "font_size": 16, "font_color": "white", "bg_color": INK})
        self._subtitle = book.add_format({"font_color": "white", "bg_color": INK})
        self._heading = book.add_format({"bold": True, "font_size": 12, "font_color": INK, "bg_color": PAPER})
        self._label = book.add_format({"font_color": "#5A6675", "valign": "top"})
        self._column = book.add_format({"bold": True, "font_color": "#5A6675", "bottom": 1, "bottom_color": RULE})
        self._line = book.add_format({"valign": "top", "align": "left"})
        self._text = book.add_format({"text_wrap": True, "valign": "top", "align": "left"})
        self._amounts: dict[str, Any] = {}

    def draw(self) -> None:
        self._set_up_page()
        self._band(self._sheet.title, self._title, 26)
        self._band(self._sheet.subtitle, self._subtitle, 18)
        for section in self._sheet.sections:
            self._row += 1
            self._band(section.heading, self._heading, 20)
            if isinstance(section, Facts):
                self._facts(section)
            else:
                self._table(section)

    def _set_up_page(self) -> None:
        for column, width in enumerate(WIDTHS):
            self._page.set_column(column, column, width)
        self._page.hide_gridlines(2)
        self._page.set_landscape()
        self._page.set_paper(9)
        self._page.fit_to_pages(1, 0)
        self._page.set_footer("&L&D&RPage &P of &N")

    def _band(self, text: str, look: Any, height: int) -> None:
        """A coloured row; the look of a row costs less than eight cells with one."""
        self._page.set_row(self._row, height, look)
        self._page.write_string(self._row, 0, text, look)
        self._row += 1

    def _facts(self, section: Facts) -> None:
        for label, value in section.rows:
            self._page.write_string(self._row, 0, label, self._label)
            if not isinstance(value, str):
                self._cell(self._row, 1, value)
            elif len(value) <= FACT_CHARACTERS and "\n" not in value:
                self._page.write_string(self._row, 1, value, self._line)  # it flows over the empty cells to its right
            else:
                self._wide(value)
            self._row += 1

    def _wide(self, text: str) -> None:
        """Text over all columns to the right, in as many lines as it needs."""
        lines = sum(1 + len(line) // FACT_CHARACTERS for line in text.split("\n"))
        self._page.set_row(self._row, min(TALLEST, lines * LINE_POINTS))
        self._page.merge_range(self._row, 1, self._row, LAST, "", self._text)
        self._page.write_string(self._row, 1, text, self._text)

    def _table(self, section: Table) -> None:
        for column, name in enumerate(section.columns):
            self._page.write_string(self._row, column, name, self._column)
        self._row += 1
        for row in section.rows:
            lines = [1 + len(cell) // WIDTHS[at] for at, cell in enumerate(row) if isinstance(cell, str)]
            if max(lines, default=1) > 1:
                self._page.set_row(self._row, min(TALLEST, max(lines) * LINE_POINTS))
            for column, cell in enumerate(row):
                self._cell(self._row, column, cell)
            self._row += 1

    def _cell(self, row: int, column: int, value: Cell) -> None:
        if isinstance(value, str):
            self._page.write_string(row, column, value, self._text)
        elif value is not None:
            number, currency = value
            self._page.write_number(row, column, number, self._amount(currency))

    def _amount(self, currency: str) -> Any:
        if currency not in self._amounts:
            look = {"num_format": f'#,##0.00 "{currency}"', "align": "left", "valign": "top"}
            self._amounts[currency] = self._book.add_format(look)
        return self._amounts[currency]
