"""`shard=i/n`: parts that are scored apart give the bytes of one run, or say why they do not."""

import json
import shutil
from pathlib import Path

import cv2
import pytest

from src.errors import CommandError, UserError
from src.evaluation.maps import evaluate_maps
from src.evaluation.shards import Shard, parse_shard
from tests.metrics.numbered_pairs import make_pair

METRICS = ["mae", "max_f", "mba", "max_msiou"]
SAME = ("results.json", "per_image.csv", "histograms.npz", "kept.npz", "curves.json", "results.md")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINECUT_CACHE", str(tmp_path / "cache"))


def write(root: Path, count: int = 7, method: str = "maps", name: str = "SET") -> None:
    for folder in (maps := root / method, target := root / name):
        folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        prediction, true = make_pair(index)
        cv2.imwrite(str(maps / f"i{index}.png"), prediction)
        cv2.imwrite(str(target / f"i{index}.png"), true)
    # Alone in its part, this map does not say whether its 1 is white: the set does.
    cv2.imwrite(str(maps / "i1.png"), make_pair(1)[1] // 255)


def score(root: Path, shard: str | None = None, output: str = "out", **options: object) -> int:
    given = {"maps": root / "maps", "target": root / "SET", "metrics": METRICS} | options
    return evaluate_maps(output=root / output, workers=1, shard=parse_shard(shard), **given)  # type: ignore[arg-type]


def files(folder: Path, names: tuple[str, ...] = SAME) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in names}


def test_every_image_is_in_one_part() -> None:
    pairs = list(range(10))
    parts = [Shard(i, 4).of(pairs) for i in range(1, 5)]  # type: ignore[arg-type]
    assert parts == [[0, 4, 8], [1, 5, 9], [2, 6], [3, 7]]
    assert Shard(3, 4).of(pairs[:2]) == []  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["9/8", "0/4", "a/b", "4", "1/0", "-1/4", "1/4/4", "1/99999", ""])
def test_what_names_no_part_is_one_line(text: str) -> None:
    with pytest.raises(CommandError, match=f"shard={text}: give the number of a part") as refused:
        parse_shard(text)
    assert "\n" not in str(refused.value)


def test_parts_give_the_bytes_of_one_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path)
    assert score(tmp_path, output="whole") == 0
    for part in ("2/3", "1/3", "3/3"):
        capsys.readouterr()
        assert score(tmp_path, part) == 0
        assert not (tmp_path / "out/results.json").exists()
    assert "all parts are scored: the same command without shard=" in capsys.readouterr().out
    assert score(tmp_path) == 0
    said = capsys.readouterr()
    assert "7 of 7 images were scored before" in said.out
    assert "not wholly scored" not in said.err
    assert files(tmp_path / "out") == files(tmp_path / "whole")
    assert not list((tmp_path / "out").glob("*shard*")), "their scores are in the folder's log"
    assert score(tmp_path, metrics=["mae"]) == 0, "and other metrics can be asked for now"


def test_parts_that_are_missing_are_named_and_scored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path)
    score(tmp_path, output="whole")
    score(tmp_path, "1/4")
    score(tmp_path, "3/4")
    assert "not wholly scored yet: shard=2/4, shard=4/4" in capsys.readouterr().out
    log = tmp_path / "out/shard-3of4.jsonl"
    log.write_bytes(log.read_bytes()[:-40])  # as after a kill
    state = tmp_path / "out/shard-3of4.json"
    state.write_text(json.dumps(json.loads(state.read_text()) | {"done": False}))
    assert score(tmp_path) == 0
    said = capsys.readouterr()
    assert "not wholly scored, and scored now: shard=2/4, shard=3/4, shard=4/4" in said.err
    assert files(tmp_path / "out") == files(tmp_path / "whole")


def test_more_parts_than_images_leave_some_empty(tmp_path: Path) -> None:
    write(tmp_path, 2)
    assert [score(tmp_path, f"{i}/3") for i in (1, 2, 3)] == [0, 0, 0]
    assert score(tmp_path) == 0


def test_methods_on_sets_are_divided_too(tmp_path: Path) -> None:
    for method in ("one", "two"):
        for name in ("A", "B"):
            write(tmp_path / "lab", 3, f"maps/{method}/{name}", f"gt/{name}")
    options = {"maps": tmp_path / "lab/maps", "target": tmp_path / "lab/gt"}
    assert score(tmp_path, output="whole", **options) == 0
    for part in ("1/2", "2/2"):
        assert score(tmp_path, part, **options) == 0
        assert not (tmp_path / "out/table.md").exists()
    assert score(tmp_path, **options) == 0
    names = tuple(f"{method}/{name}" for method in ("one", "two") for name in SAME)
    names += ("table.md", "table.csv", "table.tex", "table.html")
    assert files(tmp_path / "out", names) == files(tmp_path / "whole", names)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"metrics": ["mae"]}, r"shard-1of2.json: metrics was .*mba/1.*, and is \['mae/1'\] now"),
        ({"resize": "prediction"}, "shard-1of2.json: resize was None, and is prediction now"),
        ({"target": "OTHER/SET"}, "shard-1of2.json: ground_truth had other files"),
        ({"maps": "others"}, "shard-1of2.json: maps had other files"),
        ({"shard": "2/3"}, "shard-1of2.json: the work was divided into 2 parts.*shard=2/3"),
    ],
)
def test_parts_that_do_not_fit_are_refused_by_file_and_key(
    tmp_path: Path, options: dict[str, object], reason: str
) -> None:
    write(tmp_path)
    score(tmp_path, "1/2")
    for name, copy in (("SET", "OTHER/SET"), ("maps", "others")):
        shutil.copytree(tmp_path / name, tmp_path / copy)
        cv2.imwrite(str(tmp_path / copy / "i2.png"), make_pair(2)[1][::-1])
    given = {
        key: tmp_path / str(v) if key in ("target", "maps") else v for key, v in options.items()
    }
    before = (tmp_path / "out/shard-1of2.jsonl").read_bytes()
    for shard in ("2/2", None) if "shard" not in given else (str(given.pop("shard")),):
        with pytest.raises(UserError, match=reason):
            score(tmp_path, shard, **given)
    assert (tmp_path / "out/shard-1of2.jsonl").read_bytes() == before


def test_one_part_is_scored_by_one_process_at_a_time(tmp_path: Path) -> None:
    write(tmp_path)
    score(tmp_path, "2/2")
    with Shard(1, 2).lock(tmp_path / "out"):
        with pytest.raises(UserError, match="another process is scoring shard=1/2 in "):
            score(tmp_path, "1/2")
        assert score(tmp_path, "2/2") == 0, "others are not held up"
    with (
        Shard(2, 2).lock(tmp_path / "out"),
        pytest.raises(UserError, match=r"another process is scoring shard=2/2 .*; wait until"),
    ):
        score(tmp_path)
    assert score(tmp_path) == 0
