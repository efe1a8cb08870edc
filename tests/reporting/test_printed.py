"""The printed numbers as Markdown, and the pages of the recipes that hold them."""

from pathlib import Path

import pytest

from src.errors import exit_on_user_error
from src.reporting import reported_results as module
from src.reporting.reported_results import ReportedResult, load, main, papers, printed

PAGES = Path(__file__).parents[2] / "docs/recipes"


def row(**fields: object) -> ReportedResult:
    """A number of `p/a` on the set S that compares with our metric of the same name."""
    given = {"metric": "mae", "printed": "0.050", "compares_with": "mae", "note": "", **fields}
    own = {"experiment": "p/a", "trained_on": ("A", "B"), "test_set": "S", "source": "a figure"}
    values = {"value": float(str(given["printed"])), "tolerance": 0.1}
    return ReportedResult(**{**own, **values, **given})  # type: ignore[arg-type]


def lines(monkeypatch: pytest.MonkeyPatch, *rows: ReportedResult) -> list[str]:
    monkeypatch.setattr(module, "load", lambda: list(rows))
    return printed("p").splitlines()


@pytest.mark.parametrize("paper", papers())
def test_the_page_holds_what_the_command_prints(paper: str) -> None:
    page = (PAGES / f"{paper}.md").read_text(encoding="utf-8")
    assert f"\n## Printed\n\n{printed(paper)}\n" in page, (
        f"python -m src.reporting.reported_results {paper}"
    )


def test_every_paper_has_a_page() -> None:
    assert sorted(papers()) == sorted(page.stem for page in PAGES.glob("*.md"))


@pytest.mark.parametrize("paper", papers())
def test_no_printed_digits_are_lost(paper: str) -> None:
    text = printed(paper)
    rows = [row for row in load() if row.experiment.startswith(f"{paper}/")]
    assert rows
    for row in rows:
        table = text.partition(f"`{row.experiment}`, ")[2].partition("\n`")[0]
        line = next(x for x in table.splitlines() if x.startswith(f"| {row.test_set} |"))
        assert row.printed in line


def test_a_table_has_sets_by_metrics_as_we_call_them(monkeypatch: pytest.MonkeyPatch) -> None:
    found = lines(
        monkeypatch,
        row(metric="max_f", printed="0.90", compares_with="max_f_dis"),
        row(),
        row(test_set="T", printed="0.040"),
    )
    assert found == [
        "`p/a`, trained on A + B:",
        "",
        "| set | max_f_dis | mae |",
        "| --- | ---: | ---: |",
        "| S | 0.90 | 0.050 |",
        "| T |  | 0.040 |",
    ]


def test_what_is_compared_with_nothing_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    found = lines(monkeypatch, row(), row(metric="relax_fb", compares_with=None, note="relaxed"))
    assert found[2] == r"| set | mae | relax_fb\* [1] |"
    assert found[-2:] == [r"- \* nothing of ours is compared with it", "- [1] relaxed"]


def test_a_note_stands_at_its_number_unless_the_whole_column_has_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = lines(
        monkeypatch,
        row(note="blended"),
        row(test_set="T", note="blended"),
        row(metric="s_measure", compares_with="s_measure", printed="0.9"),
        row(metric="s_measure", compares_with="s_measure", printed="0.8", test_set="T", note="x"),
    )
    assert found[2] == "| set | mae [1] | s_measure |"
    assert found[4:] == [
        "| S | 0.050 | 0.9 |",
        "| T | 0.050 | 0.8 [2] |",
        "",
        "- [1] blended",
        "- [2] x",
    ]


def test_another_print_of_a_number_is_kept_only_if_it_differs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    same = row(compares_with=None, note="elsewhere")
    other = row(compares_with=None, printed="0.045")
    assert lines(monkeypatch, row(), same)[4:] == ["| S | 0.050 |"]
    assert lines(monkeypatch, row(), other)[4] == r"| S | 0.050, 0.045\* |"


def test_percent_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    found = lines(monkeypatch, row(metric="iou", compares_with="iou", printed="91.5", value=0.915))
    assert found[2:5:2] == ["| set | iou × 100 |", "| S | 91.5 |"]


def test_numbers_without_a_recipe_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "0.7" not in "\n".join(lines(monkeypatch, row(), row(experiment="", printed="0.7")))


def test_one_recipe_can_be_asked_for() -> None:
    assert printed("isnet/dis5k").startswith("`isnet/dis5k`, trained on DIS-TR:\n")
    assert "u2net_dis5k" not in printed("isnet/dis5k")


def test_without_a_name_the_papers_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert capsys.readouterr().out == "birefnet\ndextr\ninspyrenet\niog\nisnet\nu2net\n"


def test_a_name_prints_the_paper(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["iog"]) == 0
    assert capsys.readouterr().out == printed("iog")


def test_an_unknown_paper_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_on_user_error(main)(["basnet"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        "error: no printed numbers of 'basnet'; "
        "there are birefnet, dextr, inspyrenet, iog, isnet, u2net\n"
    )
