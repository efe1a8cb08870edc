"""Tables as Markdown, LaTeX, CSV, HTML and Excel: whatever names hold, a table keeps its shape.

A cell is text, which is escaped, or a `Cell`, whose emphasis and notes each format writes its way.
"""

import csv
import io
import math
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from string import Template
from typing import Any, Literal, NamedTuple

from src.errors import UserError

_LATEX = {"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}"}
_LATEX |= {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
_LATEX |= {"±": r"$\pm$", "−": r"$-$", "β": r"$\beta$", "²": r"$^2$", "≥": r"$\geq$"}
_LATEX |= {
    "≤": r"$\leq$",
    "·": r"$\cdot$",
    "×": r"$\times$",
    "…": r"\dots{}",
    "≈": r"$\approx$",
    "–": "--",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
}
_TO_LATEX = str.maketrans(_LATEX)
# Line ends and other control characters, what changes the direction of writing, and the halves of
# characters that stand for bytes which are no UTF-8.
_UNSEEN = re.compile("[\\x00-\\x1f\\x7f-\\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_IN_MARKDOWN = re.compile(r"[\\|<]|\](?=\()")
# A spreadsheet takes a cell that starts so for a formula; a number is one and stays one.
_FORMULA = re.compile(r"[=+\-@]")


def one_line(text: object) -> str:
    """Text with line ends and what else cannot be seen written out, `\\n` for a line's end."""
    return _UNSEEN.sub(lambda found: _written_out(found[0]), str(text))


def markdown(text: object) -> str:
    """Text as a cell or a part of a line of Markdown."""
    return _IN_MARKDOWN.sub(
        lambda found: "&lt;" if found[0] == "<" else f"\\{found[0]}", one_line(text)
    )


def latex(text: object) -> str:
    """Text as a cell of LaTeX."""
    return one_line(text).translate(_TO_LATEX)


def html(text: object) -> str:
    """Text as a part of HTML, in an attribute too."""
    return escape(one_line(text))


def csv_cell(text: str) -> str:
    """Text as a cell that no spreadsheet carries out; `csv.writer` adds the quotes."""
    line = one_line(text)
    return f"'{line}" if _FORMULA.match(line) else line


class Cell(NamedTuple):
    """A cell of a table.

    Attributes:
        text: What it says, unescaped.
        emphasis: Its place in its column, see `ranked`: the best is bold, the second underlined,
            the third italic.
        notes: Numbers of remarks below the table.
        value: The number that the text stands for, by which HTML sorts and Excel computes.
    """

    text: str
    emphasis: "Emphasis" = ""
    notes: tuple[int, ...] = ()
    value: float | None = None


class Markdown(str):
    """A cell that is Markdown already."""


Cells = Sequence[object]  # text and numbers are escaped, `Cell` and `Markdown` are what they say
Emphasis = Literal["", "best", "second", "third"]
MISSING = "–"  # what a cell without a number says
_PLACES: tuple[Emphasis, ...] = ("best", "second", "third")
# Markdown has no underline of its own, and this tag is drawn wherever Markdown is.
_MARKS = {"": ("", ""), "best": ("**", "**"), "second": ("<u>", "</u>"), "third": ("_", "_")}
_COMMANDS = {"best": r"\textbf", "second": r"\underline", "third": r"\textit"}
_TEMPLATE = Path(__file__).with_name("render.html")
_EXCEL_FORMATS = {"": {}, "best": {"bold": 1}, "second": {"underline": 1}, "third": {"italic": 1}}


def ranked(shown: Sequence[str | None], higher_is_better: bool) -> list[Emphasis]:
    """The emphasis of a column's cells: best, second and third of the numbers that they show.

    Numbers that the digits shown do not tell apart share a place. Nothing is marked in a column
    that shows one number, or one cell of them.

    Args:
        shown: A number in each cell, as it is printed; None where the cell is not compared.
        higher_is_better: The direction of the metric.
    """
    numbers = [text for text in shown if text is not None]
    if len(numbers) < 2:
        return [""] * len(shown)
    order = sorted({*numbers}, key=float, reverse=higher_is_better)
    places = dict(zip(order, _PLACES, strict=False))
    return ["" if text is None else places.get(text, "") for text in shown]


def markdown_table(head: Cells, rows: Sequence[Cells], align: str) -> str:
    """A table in Markdown.

    Args:
        head: Names of the columns.
        rows: As many cells each.
        align: A letter for each column, `l` or `r`; the last letter holds for all that follow.
    """
    letters = _to_width(align, len(head))
    rule = [Markdown("---:" if letter == "r" else "---") for letter in letters]
    lines = [[_to_markdown(cell) for cell in row] for row in (head, rule, *rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _to_width(align: str, columns: int) -> str:
    return align[:columns].ljust(columns, align[-1])


def latex_table(
    head: Cells,
    groups: Sequence[Sequence[Cells]],
    align: str,
    over: Sequence[tuple[str, int]] = (),
) -> list[str]:
    """The lines of a `tabular` with booktabs' rules, one above each group of rows.

    Args:
        head: Names of the columns.
        groups: Rows that belong together.
        align: As for `markdown_table`.
        over: What stands above the names, and how many columns each spans.
    """
    columns = _to_width(align, len(head))
    lines = [r"% needs \usepackage{booktabs}", rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
    if over:
        spans = [rf"\multicolumn{{{count}}}{{c}}{{{latex(text)}}}" for text, count in over]
        lines.append(" & ".join(spans) + r" \\")
    lines.append(_latex_row(head))
    for rows in groups:
        lines += [r"\midrule", *map(_latex_row, rows)]
    return [*lines, r"\bottomrule", r"\end{tabular}"]


def csv_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Comma-separated values. Text is made harmless to spreadsheets; numbers keep all digits."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    for row in (head, *rows):
        writer.writerow(
            [csv_cell(cell) if isinstance(cell, str) else _number(cell) for cell in row]
        )
    return text.getvalue()


def data_csv(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], head: bool = True) -> str:
    """Comma-separated data that a program reads again: every text stays what it is.

    Args:
        columns: Their names, in order.
        rows: Values by column; a column that a row lacks stays empty.
        head: Begin with the names of the columns.

    Raises:
        ValueError: A row has a column that is not listed.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns)
    if head:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def html_table(
    head: Cells,
    rows: Sequence[tuple[str, Cells]],
    over: Sequence[tuple[str, int]] = (),
    align: str = "lr",
) -> str:
    """A table of HTML for `html_page`, where a click on a column's head sorts.

    Args:
        head: Names of the columns.
        rows: Of each row its classes, which the page's style knows, and its cells.
        over: What stands above the names, and how many columns each spans.
        align: As for `markdown_table`; of the first five columns.
    """
    left = " ".join(f"left{i}" for i, letter in enumerate(align[:5], 1) if letter == "l")
    spans = "".join(f'<td colspan="{count}">{html(text)}</td>' for text, count in over)
    above = f'<tr class="over">{spans}</tr>' if over else ""
    names = "".join(f"<th>{html(name)}</th>" for name in head)
    body = "\n".join(
        f'<tr class="{html(classes)}">{"".join(map(_to_html, cells))}</tr>'
        for classes, cells in rows
    )
    return (
        f'<div class="wide"><table class="{left}">\n<thead>{above}<tr>{names}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def html_list(title: str, items: Sequence[str], ordered: bool = False) -> str:
    """A list of HTML under a heading; nothing where there is no item."""
    if not items:
        return ""
    kind = "ol" if ordered else "ul"
    lines = "".join(f"<li>{html(item)}</li>\n" for item in items)
    return f"<h2>{html(title)}</h2>\n<{kind}>\n{lines}</{kind}>"


def html_figure(content: bytes, kind: str, caption: str) -> str:
    """An image, whose bytes are in the page, with its caption.

    Args:
        content: Of the image file.
        kind: `png` or `jpeg`.
        caption: Text below it.
    """
    data, text = b64encode(content).decode(), html(caption)
    return (
        f'<figure><img alt="{text}" src="data:image/{kind};base64,{data}">'
        f"<figcaption>{text}</figcaption></figure>"
    )


def html_page(title: str, parts: Sequence[str]) -> str:
    """A page of HTML that needs no other file, from the template `render.html`.

    Args:
        title: Text.
        parts: HTML, such as the other functions here make; empty ones are left out.
    """
    body = "\n".join(part for part in parts if part)
    template = Template(_TEMPLATE.read_text(encoding="utf-8"))
    return template.substitute(title=html(title), body=body)


def excel_workbook(sheets: Mapping[str, tuple[Cells, Sequence[Cells]]]) -> bytes:
    """An Excel workbook (.xlsx); the same tables give the same bytes.

    Numbers are numbers, shown with the digits of their cell's text; all else is text, of which
    nothing is taken for a formula or a link.

    Args:
        sheets: Head and rows by the sheet's name.

    Raises:
        UserError: The package that writes workbooks is not installed.
    """
    try:
        import xlsxwriter
    except ImportError:
        raise UserError(
            "an Excel table needs the package XlsxWriter: pip install 'finecut[tables]', or leave "
            "xlsx out of formats="
        ) from None
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as book:
        book.set_properties({"created": datetime(2000, 1, 1)})  # not the hour of this call
        formats: dict[str, Any] = {}
        for name, (head, rows) in sheets.items():
            sheet = book.add_worksheet(name)
            sheet.freeze_panes(1, 0)
            for line, cells in enumerate((head, *rows)):
                for column, cell in enumerate(cells):
                    place, value = (line, column), _excel_value(cell)
                    style = {"bold": 1} if line == 0 else _excel_format(cell)
                    if (key := repr(style)) not in formats:
                        formats[key] = book.add_format(style)
                    write = sheet.write_string if isinstance(value, str) else sheet.write_number
                    write(*place, value, formats[key])
    return file.getvalue()


def _excel_value(cell: object) -> str | float:
    if not isinstance(cell, Cell):
        return cell if isinstance(cell, int | float) else one_line(cell)
    if cell.value is not None and math.isfinite(cell.value):
        return cell.value
    return one_line(cell.text) + "".join(f" [{note}]" for note in cell.notes)


def _excel_format(cell: object) -> dict[str, Any]:
    if not isinstance(cell, Cell):
        return {}
    style: dict[str, Any] = dict(_EXCEL_FORMATS[cell.emphasis])
    if digits := re.match(r"[+-]?\d+\.(\d+)", cell.text):
        number = f"0.{'0' * len(digits[1])}"
        style["num_format"] = f"+{number};-{number}" if cell.text[0] == "+" else number
    return style


def _to_html(cell: object) -> str:
    if not isinstance(cell, Cell):
        empty = ' data-value=""' if cell == MISSING else ""
        return f"<td{empty}>{html(cell)}</td>"
    notes = f"<sup>{','.join(map(str, cell.notes))}</sup>" if cell.notes else ""
    number = "" if cell.value is None else f' class="{cell.emphasis}" data-value="{cell.value!r}"'
    return f"<td{number}>{html(cell.text)}{notes}</td>"


def _to_markdown(cell: object) -> str:
    if isinstance(cell, Markdown):
        return str(cell)
    if not isinstance(cell, Cell):
        return markdown(cell)
    before, after = _MARKS[cell.emphasis]
    return f"{before}{markdown(cell.text)}{after}" + "".join(f" [{note}]" for note in cell.notes)


def _latex_row(cells: Cells) -> str:
    return " & ".join(map(_to_latex, cells)) + r" \\"


def _to_latex(cell: object) -> str:
    if not isinstance(cell, Cell):
        return latex(cell)
    text = latex(cell.text)
    if command := _COMMANDS.get(cell.emphasis):
        text = f"{command}{{{text}}}"
    return text + (f"$^{{{','.join(map(str, cell.notes))}}}$" if cell.notes else "")


def _number(value: object) -> object:
    return repr(value) if isinstance(value, float) else value


def file_name(text: str) -> str:
    """Text as a part of a file's name: letters, digits and what is harmless; the rest is `_`."""
    kept = re.sub(r"[^\w.()+=-]", "_", text).lstrip(".")[:80]
    return kept or "_"


def _written_out(character: str) -> str:
    if "\ud800" <= character <= "\udfff":
        code = ord(character)
        # 0xDC80 to 0xDCFF are what Python makes of a byte in a file's name.
        return f"\\x{code & 0xFF:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
    return character.encode("unicode_escape").decode()
