"""Pairs of files are scored, or say what keeps them from it; the journal spares the rest."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import cv2
import numpy as np
import pytest

from src.errors import UserError
from src.evaluation import scoring
from src.evaluation.matching import MapPair, Problem
from src.evaluation.scoring import (
    RESIZED,
    SOFT,
    ZERO_ONE,
    Outcome,
    PairContent,
    faults,
    header_faults,
    score_files,
    score_pairs,
)
from src.metrics import ImageResult, score_pair
from src.resume_log import ResumeLog
from tests.metrics.numbered_pairs import make_pair


def write(root: Path, number: int) -> MapPair:
    prediction, target = make_pair(number)
    pair = MapPair("SET", str(number), root / f"{number}-map.png", root / f"{number}-truth.png")
    cv2.imwrite(str(pair.map), prediction)
    cv2.imwrite(str(pair.target), target)
    return pair


def halved(path: Path) -> None:
    cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)[::2, ::2])


def score(pair: MapPair, resize: scoring.Resize = None) -> Outcome | list[Problem]:
    content = PairContent(pair.map.read_bytes(), pair.target.read_bytes())
    return score_files(pair, content, ["mae", "max_f"], resize)


def test_a_pair_has_the_score_of_its_pixels(tmp_path: Path) -> None:
    outcome = score(write(tmp_path, 3))
    assert isinstance(outcome, Outcome)
    found, notices = outcome.score, outcome.notices
    assert found is not None
    assert found.values == score_pair(*make_pair(3), ["mae", "max_f"]).values
    assert notices == []


def test_a_soft_truth_and_a_resized_map_are_said(tmp_path: Path) -> None:
    pair = write(tmp_path, 3)
    prediction = cv2.blur(make_pair(3)[1], (3, 3))
    cv2.imwrite(str(pair.target), prediction)
    halved(pair.map)
    outcome = score(pair, "prediction")
    assert isinstance(outcome, Outcome)
    assert outcome.notices == [RESIZED, SOFT]
    assert outcome.score is not None
    assert outcome.score.histogram.sum() == prediction.size


def test_both_unreadable_files_are_told(tmp_path: Path) -> None:
    pair = write(tmp_path, 3)
    pair.map.write_bytes(b"")
    pair.target.write_text("no image")
    problems = score(pair)
    assert isinstance(problems, list)
    assert [problem.kind for problem in problems] == ["unreadable"] * 2
    assert [str(pair.map) in problems[0].text, str(pair.target) in problems[1].text] == [True] * 2


def test_another_size_is_told_in_width_and_height(tmp_path: Path) -> None:
    pair = write(tmp_path, 3)
    height, width = make_pair(3)[1].shape
    cv2.imwrite(str(pair.map), np.zeros((20, 30), np.uint8))
    (problem,) = faults([pair], None)
    assert problem.kind == "size"
    assert f"is 30x20, its target {width}x{height}" in problem.text
    assert faults([pair], "prediction") == []


def test_headers_tell_sizes_and_what_is_no_image(tmp_path: Path) -> None:
    pairs = [write(tmp_path, number) for number in (1, 2)]
    assert header_faults(pairs, None) == []
    halved(pairs[1].map)
    (problem,) = header_faults(pairs, None)
    assert problem.kind == "size"
    assert problem.text.startswith(str(pairs[1].map))
    assert header_faults(pairs, "prediction") == []
    pairs[0].target.write_text("no image")
    (problem,) = header_faults(pairs, "prediction")
    assert problem.kind == "unreadable"
    assert problem.text.startswith(str(pairs[0].target))
    assert header_faults([], None) == []


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose bytes are read, each time they are."""
    names: list[str] = []
    real = Path.read_bytes

    def watched(path: Path) -> bytes:
        names.append(path.name)
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", watched)
    return names


def test_each_file_is_read_once(tmp_path: Path, read: list[str]) -> None:
    pairs = [write(tmp_path, number) for number in range(4)]
    cv2.imwrite(str(pairs[2].map), make_pair(2)[0] * 0)  # black says nothing, and waits for nothing
    everything = sorted(path.name for pair in pairs for path in (pair.map, pair.target))
    score_pairs(pairs, ["mae"], ResumeLog(tmp_path / "journal"), workers=1)
    assert sorted(read) == everything
    score_pairs(pairs, ["mae"], ResumeLog(tmp_path / "journal"), workers=1)
    assert sorted(read) == sorted(2 * everything)


def test_only_files_that_wait_for_their_set_are_read_again(tmp_path: Path, read: list[str]) -> None:
    pairs = [write(tmp_path, number) for number in range(3)]
    cv2.imwrite(str(pairs[0].map), make_pair(0)[1] // 255)
    scored = score_pairs(pairs, ["iou"], ResumeLog(tmp_path / "journal"), workers=1)
    assert sorted(read).count("0-map.png") == 2
    assert len(read) == 2 * 3 + 2
    (dim,) = (one.values["iou"] for pair, one in scored.scores.items() if pair.name == "0")
    assert dim == 0, "beside maps that reach 255, 1 is nearly black"
    assert all(pair.map_scale == 255 for pair in scored.scores)

    alone = score_pairs(pairs[:1], ["iou"], ResumeLog(tmp_path / "journal"), workers=1)
    assert [one.values["iou"] for one in alone.scores.values()] == [1]
    assert list(alone.notices.values()) == [[ZERO_ONE]]
    before = len(read)
    again = score_pairs(pairs, ["iou"], ResumeLog(tmp_path / "journal"), workers=1)
    assert (again.reused, again.scores.keys()) == (3, scored.scores.keys())
    assert again.notices == scored.notices
    assert len(read) - before == 2 * 3 + 2


def test_the_order_of_files_has_no_say_in_their_scale(tmp_path: Path) -> None:
    """A set of 8 and of 16 bits was refused or not, whichever of its files came first."""
    pairs = [write(tmp_path, number) for number in range(2)]
    cv2.imwrite(str(pairs[1].map), make_pair(1)[0].astype(np.uint16) * 257)
    for order in (pairs, pairs[::-1]):
        scored = score_pairs(order, ["mae"], ResumeLog(tmp_path / "none"), workers=1)
        assert scored.problems == []
        (tmp_path / "none").unlink()
        assert sorted(one.values["mae"] for one in scored.scores.values()) == sorted(
            score_pair(*make_pair(number), ["mae"]).values["mae"] for number in range(2)
        )


def test_scores_come_with_their_problems_in_order(tmp_path: Path) -> None:
    pairs = [write(tmp_path, number) for number in range(5)]
    for number in (3, 1):
        pairs[number].map.write_bytes(b"")
    scored = score_pairs(pairs, ["mae"], ResumeLog(tmp_path / "journal"), workers=1)
    assert [pair.name for pair in scored.scores] == ["0", "2", "4"]
    assert scored.notices == {pair: [] for pair in scored.scores}
    assert [problem.text.split("/")[-1][:5] for problem in scored.problems] == ["1-map", "3-map"]
    assert scored.reused == 0


def test_what_the_journal_knows_is_not_scored_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [write(tmp_path, number) for number in range(3)]
    path = tmp_path / "journal"
    first = score_pairs(pairs[:2], ["mae"], ResumeLog(path), workers=1)
    seen: list[str] = []
    real = score_files

    def watched(
        pair: MapPair, content: PairContent, metrics: Sequence[str], **options: object
    ) -> object:
        seen.append(f"{pair.name} {' '.join(metrics)}")
        return real(pair, content, metrics, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(scoring, "score_files", watched)
    again = score_pairs(pairs, ["mae"], ResumeLog(path), workers=1)
    assert (seen, again.reused) == (["2 mae"], 2)
    assert {pair: again.scores[pair].values for pair in first.scores} == {
        pair: score.values for pair, score in first.scores.items()
    }
    more = score_pairs(pairs, ["max_f", "mae"], ResumeLog(path), workers=1)
    assert (seen, more.reused) == (["2 mae"], 3), "max F follows from the histograms"
    assert all([*score.values] == ["max_f", "mae"] for score in more.scores.values())
    score_pairs(pairs, ["mae", "mba"], ResumeLog(path), workers=1)
    assert seen[1:] == ["0 mba", "1 mba", "2 mba"]
    score_pairs(pairs, ["mba", "mae", "mean_iou"], ResumeLog(path), workers=1)
    assert len(seen) == 4


class Pool:
    """Stands in for the processes: answers at once, or dies."""

    def __init__(self, fails: BaseException | None = None) -> None:
        self.fails = fails

    def submit(self, job: object, *given: object) -> object:
        future: Future[object] = Future()
        if self.fails is not None:
            future.set_exception(self.fails)
        else:
            future.set_result(job(*given))  # type: ignore[operator]
        return future


def tasks(pairs: list[MapPair]) -> Iterator[scoring._Task]:
    return (scoring._Task(pair, PairContent(b"", b""), pair.name, ("mae",), None) for pair in pairs)


def test_few_files_are_in_memory_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of thousands of pairs, no more are read than the processes will soon ask for."""
    monkeypatch.setattr(scoring, "pool", lambda number: Pool())
    monkeypatch.setattr(scoring, "compile_kernels", lambda names, number: None)
    pair = write(tmp_path, 0)
    asked: list[int] = []

    def endless() -> Iterator[scoring._Task]:
        for number in range(1000):
            asked.append(number)
            yield scoring._Task(pair, PairContent(b"", b""), str(number), ("mae",), None)

    found = scoring._outcomes(endless(), 1000, lambda *_: [], 2)
    for _ in range(20):
        next(found)
    found.close()
    assert len(asked) < 100


@pytest.mark.parametrize(
    ("count", "workers", "processes"), [(16, 2, 2), (16, 9, 2), (15, 2, None), (40, 3, 3)]
)
def test_few_images_start_no_process(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    count: int,
    workers: int,
    processes: int | None,
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(scoring, "pool", lambda number: asked.append(number) or Pool())
    monkeypatch.setattr(scoring, "compile_kernels", lambda names, number: None)
    pair = write(tmp_path, 0)
    done = ImageResult({"mae": 0.5}, np.zeros((2, 256), np.int64))
    pairs = [pair._replace(name=str(i)) for i in range(count)]
    outcome = Outcome(done, [], (None, None))
    found = list(scoring._outcomes(tasks(pairs), count, lambda *_: outcome, workers))
    assert sorted(one.pair.name for one, _ in found) == sorted(str(i) for i in range(count))
    assert asked == ([processes] if processes else [])


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (BrokenProcessPool("killed"), (UserError, "again with fewer workers=")),
        (KeyboardInterrupt("stopped"), (KeyboardInterrupt, "stopped")),
        (ValueError("odd"), (ValueError, "odd")),
    ],
)
def test_a_pool_that_failed_is_thrown_away(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
    reason: tuple[type[BaseException], str],
) -> None:
    discarded: list[int] = []
    monkeypatch.setattr(scoring, "discard_pool", discarded.append)
    monkeypatch.setattr(scoring, "pool", lambda number: Pool(failure))
    monkeypatch.setattr(scoring, "compile_kernels", lambda names, number: None)
    pairs = [write(tmp_path, 0)._replace(name=str(i)) for i in range(16)]
    with pytest.raises(reason[0], match=reason[1]):
        list(scoring._outcomes(tasks(pairs), 16, lambda *_: [], 2))
    assert discarded == [2]
