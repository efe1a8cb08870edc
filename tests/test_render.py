"""Whatever a name holds, a line stays a line, a cell a cell, and text is carried out nowhere."""

import pytest

from src import render


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ± ü", "plain ± ü"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("a\u2028b\x85c\x00", r"a\u2028b\x85c\x00"),
        ("abc\u202egnp", r"abc\u202egnp"),
        ("caf\udce9", r"caf\xe9"),
        ("half \ud83d", r"half \ud83d"),
    ],
)
def test_what_cannot_be_seen_is_written_out(text: str, shown: str) -> None:
    assert render.one_line(text) == shown
    shown.encode()


def test_a_cell_of_markdown_holds_no_bar_tag_or_link() -> None:
    assert render.markdown("a|b") == r"a\|b"
    assert render.markdown("a\\|b") == r"a\\\|b"
    assert render.markdown("<img src=x>") == "&lt;img src=x>"
    assert render.markdown("[x](javascript:y)") == r"[x\](javascript:y)"
    assert render.markdown("isnet [lr=0.1]") == "isnet [lr=0.1]"


def test_a_cell_of_latex_and_html() -> None:
    assert render.latex("a_b & 5% {$}\n") == r"a\_b \& 5\% \{\$\}\textbackslash{}n"
    assert render.html('"<b>&\n') == r"&quot;&lt;b&gt;&amp;\n"


@pytest.mark.parametrize("start", "=+-@")
def test_a_formula_is_text_in_csv(start: str) -> None:
    assert render.csv_cell(f"{start}cmd|x") == f"'{start}cmd|x"
    assert render.csv_cell(f"a{start}b") == f"a{start}b"


@pytest.mark.parametrize(
    ("text", "name"),
    [("DIS-TE(1-4)", "DIS-TE(1-4)"), ("../../x", "_.._x"), ("", "_"), ("a/b c\n", "a_b_c_")],
)
def test_a_file_name_leads_nowhere(text: str, name: str) -> None:
    assert render.file_name(text) == name
