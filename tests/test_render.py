"""Whatever a name holds, a line stays a line, a cell a cell, and text is carried out nowhere."""

import sys
import zipfile
from io import BytesIO

import pytest

from src import render
from src.errors import UserError
from src.render import Cell


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


@pytest.mark.parametrize(
    ("shown", "higher", "places"),
    [
        (["0.7", "0.9", "0.8", "0.6"], True, ["third", "best", "second", ""]),
        (["0.7", "0.9", "0.8", "0.6"], False, ["second", "", "third", "best"]),
        (["0.90", "0.90", "0.8"], True, ["best", "best", "second"]),
        (["0.9", None, "10.0"], True, ["second", "", "best"]),
        (["0.9", None], True, ["", ""]),
        ([], True, []),
    ],
)
def test_a_column_has_a_best_a_second_and_a_third(
    shown: list[str | None], higher: bool, places: list[str]
) -> None:
    assert render.ranked(shown, higher) == places


ROW = [
    Cell("mine", notes=(1, 2)),
    Cell("0.90", "best", value=0.9),
    Cell("0.80", "second", value=0.8),
    Cell("0.70", "third", value=0.7),
    render.MISSING,
]
HEAD = ["method", "a", "b", "c", "d"]


def test_each_format_marks_places_in_its_way() -> None:
    line = render.markdown_table(HEAD, [ROW], "lr").splitlines()[2]
    assert line == "| mine [1] [2] | **0.90** | <u>0.80</u> | _0.70_ | – |"
    text = render.latex_table(HEAD, [[ROW]], "lr")[5]
    assert text == r"mine$^{1,2}$ & \textbf{0.90} & \underline{0.80} & \textit{0.70} & -- \\"
    page = render.html_table(HEAD, [("run first", ROW)])
    assert '<tr class="run first"><td>mine<sup>1,2</sup></td>' in page
    assert '<td class="third" data-value="0.7">0.70</td><td data-value="">–</td>' in page


def test_a_page_is_of_its_parts_and_has_its_title_as_text() -> None:
    page = render.html_page("a <b> $title", ["<p>one</p>", "", "<p>$body</p>"])
    assert page.startswith("<!doctype html>")
    assert page.count("a &lt;b&gt; $title") == 2
    assert "<p>one</p>\n<p>$body</p>" in page
    assert "src=" not in page
    assert "href=" not in page


def test_data_stays_what_it_is() -> None:
    rows = [{"name": "=1+1, é", "mae": 1 / 3}, {"name": "b"}]
    assert render.data_csv(["name", "mae"], rows) == f'name,mae\r\n"=1+1, é",{1 / 3!r}\r\nb,\r\n'
    assert render.data_csv(["name"], [{"name": "a"}], head=False) == "a\r\n"
    with pytest.raises(ValueError, match="mae"):
        render.data_csv(["name"], rows)


def test_a_workbook_has_numbers_with_the_digits_that_are_shown() -> None:
    row = [*ROW, Cell("+0.010 ± 0.002", value=0.01), Cell("nan", value=float("nan")), "=1+1", 7]
    made = render.excel_workbook({"table": ([*HEAD, "e", "f", "g", "h"], [row])})
    with zipfile.ZipFile(BytesIO(made)) as book:
        sheet, styles = (book.read(f"xl/{n}.xml").decode() for n in ("worksheets/sheet1", "styles"))
        texts = book.read("xl/sharedStrings.xml").decode()
    assert [sheet.count(f"<v>{value}</v>") for value in (0.9, 0.8, 0.01)] == [1, 1, 1]
    assert "<f>" not in sheet
    assert all(f"<t>{text}</t>" in texts for text in ("mine [1] [2]", "nan", "=1+1", "–"))
    assert 'formatCode="+0.000;-0.000"' in styles
    assert 'formatCode="0.00"' in styles
    assert "<b/>" in styles
    assert "<u/>" in styles
    assert "<i/>" in styles


def test_without_the_package_a_workbook_is_refused_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    with pytest.raises(UserError, match=r"pip install 'finecut\[tables\]', or leave xlsx out"):
        render.excel_workbook({"table": (HEAD, [ROW])})
