"""Names from files and folders in tables: whatever they hold, a table keeps its shape."""

import re
from html import escape

_LATEX = {"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}"}
_LATEX |= {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
_LATEX |= {"±": r"$\pm$", "−": r"$-$", "β": r"$\beta$", "²": r"$^2$", "≥": r"$\geq$"}
_LATEX |= {"≤": r"$\leq$", "·": r"$\cdot$", "×": r"$\times$", "…": r"\dots{}", "–": "--"}
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


def markdown_row(cells: list[str]) -> str:
    """A row of a table, of cells that are Markdown already."""
    return f"| {' | '.join(cells)} |\n"


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
