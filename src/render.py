"""Tables as Markdown, LaTeX and CSV: whatever names from files hold, a table keeps its shape.

A cell is text, which is escaped, or a `Cell`, whose emphasis and notes each format writes its way.
"""

import csv
import io
import re
from collections.abc import Sequence
from html import escape
from typing import Literal, NamedTuple

_LATEX = {"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}"}
_LATEX |= {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
_LATEX |= {"±": r"$\pm$", "−": r"$-$", "β": r"$\beta$", "²": r"$^2$", "≥": r"$\geq$"}
_LATEX |= {
    "≤": r"$\leq$",
    "·": r"$\cdot$",
    "×": r"$\times$",
    "…": r"\dots{}",
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
        emphasis: `first` of a column is bold; `second` italic in Markdown, underlined in LaTeX.
        notes: Numbers of remarks below the table.
    """

    text: str
    emphasis: Literal["", "first", "second"] = ""
    notes: tuple[int, ...] = ()


class Markdown(str):
    """A cell that is Markdown already."""


Cells = Sequence[object]  # text and numbers are escaped, `Cell` and `Markdown` are what they say
_MARKS = {"": "", "first": "**", "second": "_"}
_COMMANDS = {"first": r"\textbf", "second": r"\underline"}


def markdown_table(head: Cells, rows: Sequence[Cells], align: str) -> str:
    """A table in Markdown.

    Args:
        head: Names of the columns.
        rows: As many cells each.
        align: A letter for each column, `l` or `r`; the last letter holds for all that follow.
    """
    letters = align + align[-1] * (len(head) - len(align))
    rule = [Markdown("---:" if letter == "r" else "---") for letter in letters]
    lines = [[_to_markdown(cell) for cell in row] for row in (head, rule, *rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def latex_table(head: Cells, groups: Sequence[Sequence[Cells]], align: str) -> list[str]:
    """The lines of a `tabular` with booktabs' rules, one above each group of rows.

    Args:
        head: Names of the columns.
        groups: Rows that belong together.
        align: As for `markdown_table`.
    """
    columns = align + align[-1] * (len(head) - len(align))
    lines = [r"% needs \usepackage{booktabs}", rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
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


def _to_markdown(cell: object) -> str:
    if isinstance(cell, Markdown):
        return str(cell)
    if not isinstance(cell, Cell):
        return markdown(cell)
    mark = _MARKS[cell.emphasis]
    return f"{mark}{markdown(cell.text)}{mark}" + "".join(f" [{note}]" for note in cell.notes)


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
