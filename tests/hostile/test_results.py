"""Files of results that someone or some disk has changed: named in one line, never used."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from src.errors import UserError
from src.evaluation.maps import OK, evaluate_maps
from src.reporting.cli import main as tables
from tests.metrics.numbered_pairs import make_pair
from tests.reporting.run_folders import keep_pictures, write_run

BOMB = "a: &a [x, x]\n" + "".join(f"{k}: &{k} [*{j}, *{j}, *{j}]\n" for j, k in ("ab", "bc", "cd"))
# Whatever a file holds, these are none of ours.
CONTENTS = {
    "nothing": b"",
    "zeros": bytes(500),
    "a cut object": b'{"SOD": {"mae"',
    "a list": b"[1, 2]",
    "a number": b"7",
    "no UTF-8": b'{"SOD": "\xff\xfe"}',
    "endless nesting": b"[" * 100_000,
    "an object of lists": b'{"SOD": [1], "name": [], "seed": {}, "protocol": [], "images": 3}',
    "a page": b"<html><body>404</body></html>",
    "references": BOMB.encode(),
}
NUMBERS = ["NaN", "Infinity", "1e999", '"0.1"', "true", "[]", "{}", str(10**400)]


def change(key: str, value: object) -> Callable[[Path], None]:
    """Puts a value under a dotted key of a JSON file."""

    def apply(path: Path) -> None:
        content = json.loads(path.read_text())
        *parents, last = key.split(".")
        node = content
        for parent in parents:
            node = node[parent]
        node[last] = value
        path.write_text(json.dumps(content))

    return apply


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A sound run `good` and one beside it, `bad`, to be spoiled."""
    for name in ("good", "bad"):
        write_run(tmp_path / "runs" / name, {"SOD": {"mae": 0.1}}, name=name)
    return tmp_path / "runs"


def tabulate(runs: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """The exit code of `tables.py`, its table, and what it said of what was left out."""
    code = tables([f"runs={runs}", f"output={runs.parent / 'out'}"])
    said = capsys.readouterr().err
    return code, (runs.parent / "out" / "table.md").read_text(), said


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
@pytest.mark.parametrize("name", ["results.json", "config.yaml", "provenance.json"])
def test_a_spoiled_run_is_named_and_the_others_make_the_table(
    runs: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes
) -> None:
    (runs / "bad" / name).write_bytes(content)
    code, table, said = tabulate(runs, capsys)
    assert code == 1
    assert "| SOD | 2 | good" in table
    assert "bad" not in table
    assert said.startswith("warning: left out: ")
    assert str(runs / "bad" / name) in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("number", NUMBERS)
def test_what_is_no_finite_number_is_no_result(
    runs: Path, capsys: pytest.CaptureFixture[str], number: str
) -> None:
    (runs / "bad" / "results.json").write_text(f'{{"SOD": {{"mae": {number}}}}}')
    code, table, said = tabulate(runs, capsys)
    assert code == 1
    assert "bad" not in table
    assert str(runs / "bad" / "results.json") in said


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("protocol", value) for value in ([], 7, "x", {"mae": 7})),
        *(("images", value) for value in ([], {"SOD": "2"}, {"SOD": -1}, {"SOD": 1.5})),
        *(("data", value) for value in (7, {"train": 7}, {"train": {"sets": "SOD"}})),
        *(("data", {"train": {key: []}}) for key in ("count", "sha256")),
        *(("git", value) for value in ([], {"commit": 7}, {"dirty": "no"})),
        *((key, value) for key in ("weights", "checkpoint") for value in ([], {"sha256": 7})),
        ("files", {"results.json": "0" * 64}),
        ("files", 7),
    ],
)
def test_provenance_of_another_shape_is_named_by_its_key(
    runs: Path, capsys: pytest.CaptureFixture[str], key: str, value: object
) -> None:
    change(key, value)(runs / "bad" / "provenance.json")
    code, table, said = tabulate(runs, capsys)
    assert (code, "bad" in table) == (1, False)
    assert "bad" in said
    assert "test the run again" in said


@pytest.mark.parametrize(
    "line",
    [
        "name: [a]",
        "name: ''",
        "seed: x",
        "seed: true",
        "seed: null",
        "fit: 'no'",
        "model: u2netp",
        "model: {name: 7}",
        "data: 7",
        "data: {test: 7}",
        "data: {test: {SOD: {count: many}}}",
        "weights: [a]",
        "weights: {a: b}",
        "x: !!python/object/apply:os.system [touch run]",
        "x: !!timestamp nonsense",
    ],
)
def test_a_config_of_another_shape_is_named(
    runs: Path, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    path = runs / "bad" / "config.yaml"
    key = line.split(":")[0]
    kept = [text for text in path.read_text().splitlines() if not text.startswith((key, " "))]
    path.write_text("\n".join([*kept, line]) if key in ("model", "data") else path.read_text())
    if key not in ("model", "data"):
        lines = [text for text in path.read_text().splitlines() if not text.startswith(f"{key}:")]
        path.write_text("\n".join([*lines, line]))
    code, table, said = tabulate(runs, capsys)
    assert (code, "bad" in table) == (1, False)
    assert str(path) in said


def test_nothing_in_a_run_is_looked_up(
    runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    path = runs / "bad" / "config.yaml"
    path.write_text(path.read_text().replace("name: bad", "name: ${oc.env:SECRET}"))
    code, table, _ = tabulate(runs, capsys)
    assert code == 0
    assert "${oc.env:SECRET}" in table
    assert "hunter2" not in "".join(
        file.read_text() for file in (runs.parent / "out").glob("table.*")
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("curves.json", '{"SOD": {"precision": [0], "recall": [0], "f": [0]}}'),
        ("curves.json", '{"SOD": 7}'),
        ("curves.json", "[]"),
        ("extremes/SOD/0.json", '[{"file": "../../config.yaml", "name": "a", "error": 0}]'),
        ("extremes/SOD/0.json", '[{"file": "/etc/passwd", "name": "a", "error": 0}]'),
        ("extremes/SOD/0.json", '[{"file": "0_0.jpg", "name": "a", "error": NaN}]'),
        ("extremes/SOD/0.json", "[" * 100_000),
    ],
)
def test_damaged_curves_and_images_leave_the_numbers_in_the_table(
    runs: Path, capsys: pytest.CaptureFixture[str], name: str, content: str
) -> None:
    keep_pictures(runs / "bad", "SOD", 0, [0.1, 0.2])
    (runs / "bad" / name).write_text(content)
    code, table, said = tabulate(runs, capsys)
    assert code == 1
    assert "| SOD | 2 | bad" in table
    assert str(runs / "bad" / name) in said


EVIL = "a|b\n<script>alert(1)</script> & $x_1$ \\ ](javascript:x) %"


def test_names_keep_every_table_in_shape(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "runs" / "a", {EVIL: {"mae": 0.1, f"=1+{EVIL}": 0.5}}, name=f"=1+{EVIL}")
    assert tables([f"runs={tmp_path / 'runs'}", f"output={tmp_path / 'out'}"]) == 0
    out = tmp_path / "out"
    (head, rule, row) = (out / "table.md").read_text().split("\n\n")[0].splitlines()
    for line in (head, rule, row):
        assert len(line.replace(r"\\", "").replace(r"\|", "").split("|")) == 9
    assert "<script>alert" not in (out / "table.html").read_text()
    assert "<script>" not in (out / "table.md").read_text()
    lines = (out / "table.tex").read_text().splitlines()
    body = [line for line in lines if "&" in line and not line.startswith("%")]
    assert [line.replace(r"\&", "").count("&") for line in body] == [5, 5]
    assert [line.endswith(r" \\") for line in body] == [True, True]
    with (out / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    assert all(None not in row.values() and None not in row for row in rows)
    assert not any(cell.startswith("=") for row in rows for cell in row.values())
    assert {path.parent for path in out.rglob("*") if path.is_file()} == {out}


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Maps and targets of three images, scored into `a` and `b`."""
    root = tmp_path_factory.mktemp("scored")
    for name in ("maps", "SET"):
        (root / name).mkdir()
    for index in range(3):
        for name, gray in zip(("maps", "SET"), make_pair(index), strict=True):
            cv2.imwrite(str(root / name / f"{index}.png"), gray)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINECUT_CACHE", str(root / "cache"))
        assert [score(root, output) for output in ("a", "b")] == [OK, OK]
    return root


@pytest.fixture
def scores(scored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to be spoiled."""
    monkeypatch.setenv("FINECUT_CACHE", str(tmp_path / "cache"))
    return shutil.copytree(scored, tmp_path / "scored")


def score(root: Path, output: str, **options: object) -> int:
    return evaluate_maps(
        root / "maps",
        root / "SET",
        root / output,
        ["mae"],
        worst=0,
        **options,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *(("provenance.json", content) for content in CONTENTS.values()),
        *(("results.json", content) for content in CONTENTS.values()),
        *(("per_image.csv", content) for content in CONTENTS.values()),
        ("per_image.csv", b"set,name,mae\nSET,0,0.1\n"),
        ("per_image.csv", b"set,name,mae\nSET,0,nan\nSET,1,0.1\nSET,2,0.1\n"),
        ("per_image.csv", b"set,name,mae\nSET,0,x\nSET,1,0.1\nSET,2,0.1\n"),
        ("per_image.csv", b"set,name,mae\nSET,0,1\nSET,0,1\nSET,2,1\n"),
        ("per_image.csv", b"set,name,mae,mae\nSET,0,1,1\nSET,1,1,1\nSET,2,1,1\n"),
    ],
)
def test_a_spoiled_comparison_is_one_line(scores: Path, name: str, content: bytes) -> None:
    (scores / "b" / name).write_bytes(content)
    with pytest.raises(UserError, match="/b") as error:
        score(scores, "a", compare=scores / "b")
    assert "\n" not in str(error.value)
    assert not (scores / "a" / "compare.md").exists()


def test_values_that_were_changed_afterwards_are_not_compared(scores: Path) -> None:
    path = scores / "b" / "per_image.csv"
    content = path.read_bytes()
    path.write_bytes(content.replace(content.split()[1].split(b",")[2], b"0.001"))
    with pytest.raises(UserError, match="was changed since it was written"):
        score(scores, "a", compare=scores / "b")
    path.write_bytes(content)
    assert score(scores, "a", compare=scores / "b") == OK


@pytest.mark.parametrize("place", [0.1, 0.4, 0.6, 0.9])
@pytest.mark.parametrize("damage", ["flip", "cut", "zeros", "older"])
def test_a_damaged_journal_changes_no_number(scores: Path, place: float, damage: str) -> None:
    path, summary = scores / "a" / "journal.jsonl", (scores / "a" / "results.json").read_bytes()
    content = bytearray(path.read_bytes())
    at = int(place * len(content))
    if damage == "flip":
        content[at] ^= 1
    elif damage == "cut":
        content = content[:at]
    elif damage == "zeros":
        content[at : at + 50] = bytes(len(content[at : at + 50]))
    else:  # before lines had a checksum; with a value that would be believed
        entries = [json.loads(line)["entry"] for line in content.splitlines() if line]
        content = bytearray(
            "\n".join(json.dumps({**e, "values": {"mae": 0.0}}) for e in entries), "utf8"
        )
    path.write_bytes(content)
    assert score(scores, "a") == OK
    assert (scores / "a" / "results.json").read_bytes() == summary
