"""The page is one file: whole in itself, whatever its names contain."""

from html.parser import HTMLParser
from pathlib import Path

from src.reporting.formats import html
from src.reporting.groups import Group, group
from src.reporting.runs import collect
from src.reporting.table import DIFFERENCE, Cell, Row, Table, build
from tests.reporting.run_folders import keep_pictures, write_run

RUN, BEST = "run", "best"


class Page(HTMLParser):
    """Tags with their attributes, and the text that is seen; every tag has to be closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & {*self.open}:
            self.text += data


def row(method: str, kind: str = RUN, test_set: str = "SOD", **cells: Cell) -> Row:
    return Row(test_set, 300, method, kind, (0,), cells)


def test_html_is_whole_in_itself(table: Table, groups: list[Group]) -> None:
    page = Page(html(table, groups, {"SOD": b"png"}, "a <title>", 3))
    for _, attributes in page.tags:
        assert (attributes.get("src") or "data:").startswith("data:")
        assert "href" not in attributes
    assert sum(tag == "tr" for tag, _ in page.tags) == 1 + len(table.rows)
    assert ("td", {"class": "best", "data-value": "0.861"}) in page.tags


def test_names_are_text_and_never_tags() -> None:
    name = '<script>alert("1")</script>'
    rows = [row(name, test_set=name, **{name: Cell(0.5)})]
    page = Page(html(Table([name], rows, [name], {name: name}), [], {name: b""}, name, 3))
    assert [tag for tag, _ in page.tags].count("script") == 1  # the page's own
    # Title, head line, data, method, column, note, protocol twice, and a figure's caption.
    assert page.text.count(name) == 9


def test_cells_sort_by_their_value_and_missing_ones_have_none() -> None:
    cells = {"mae": Cell(0.0512345, 0.001, BEST)}
    table = Table(["mae", "hce"], [row("a", **cells), row("b", DIFFERENCE, mae=Cell(0.1))], [], {})
    page = Page(html(table, [], {}, "t", 3))
    values = [attributes for tag, attributes in page.tags if "data-value" in attributes]
    assert values == [
        {"class": "best", "data-value": "0.0512345"},
        {"data-value": ""},
        {"class": "", "data-value": "0.1"},
        {"data-value": ""},
    ]
    assert "0.051 ± 0.001" in page.text
    assert "+0.100" in page.text


def test_the_first_row_of_a_set_has_a_line_above() -> None:
    rows = [row("a"), row("b"), row("c", DIFFERENCE, "ECSSD"), row("d", test_set="ECSSD")]
    page = Page(html(Table([], rows, [], {}), [], {}, "t", 3))
    classes = [attributes.get("class") for tag, attributes in page.tags if tag == "tr"]
    assert classes == [None, "run first", "run", "difference first", "run"]


def test_sections_without_content_are_left_out() -> None:
    page = Page(html(Table([], [], [], {}), [], {}, "t", 3))
    assert not {tag for tag, _ in page.tags} & {"h2", "ol", "ul", "figure"}


def test_pictures_are_shown_by_run_and_set_with_their_error(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "a", {"SOD": {"mae": 0.1}, "ECSSD": {"mae": 0.1}}, seed=3)
    keep_pictures(folder, "SOD", 0, [0.01, 0.02, 0.3, 0.9])
    groups = group(collect([tmp_path]))
    page = Page(html(build(groups, []), groups, {}, "t", 3))
    assert "isnet/dis5k, SOD, seed 3" in page.text
    assert "isnet/dis5k, ECSSD" not in page.text
    shown = [attributes["alt"] for tag, attributes in page.tags if tag == "img"]
    assert shown == [
        "image_0.01, error 0.010",
        "image_0.02, error 0.020",
        "image_0.9, error 0.900",
        "image_0.3, error 0.300",
    ]
