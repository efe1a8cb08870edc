"""The training log: a resumed run continues it and repeats nothing."""

from pathlib import Path

from src.training.loggers import CSVLog, read_rows


def write(folder: Path, *rows: tuple[int, dict[str, float]]) -> None:
    log = CSVLog(str(folder))
    for step, values in rows:
        log.log_metrics(values, step)


def losses(*steps: int) -> list[tuple[int, dict[str, float]]]:
    return [(step, {"train/loss": step / 10}) for step in steps]


def test_a_resumed_run_leaves_the_same_file_as_a_whole_one(tmp_path: Path) -> None:
    scored = (3, {"val/mae": 0.5})
    rows = [*losses(1, 2, 3), scored, *losses(4, 5)]
    for folder in ("whole", "resumed"):
        (tmp_path / folder).mkdir()
    write(tmp_path / "whole", *rows)

    write(tmp_path / "resumed", *rows)  # killed; its last checkpoint was that of step 2
    write(tmp_path / "resumed", *rows[2:])

    whole = (tmp_path / "whole" / "metrics.csv").read_text()
    assert (tmp_path / "resumed" / "metrics.csv").read_text() == whole
    assert whole.splitlines()[0] == "step,train/loss,val/mae"
    assert len(whole.splitlines()) == 1 + len(rows)


def test_a_row_is_in_the_file_at_once_and_a_cut_one_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, *losses(1, 2))
    path = tmp_path / "metrics.csv"
    assert [row["train/loss"] for row in read_rows(path)] == ["0.1", "0.2"]
    path.write_text(path.read_text() + "3,0.")
    write(tmp_path, *losses(3))
    assert [row["train/loss"] for row in read_rows(path)] == ["0.1", "0.2", "0.3"]
