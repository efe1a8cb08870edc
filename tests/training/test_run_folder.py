"""A run's folder that cannot be made is one line, not Hydra's traceback."""

from pathlib import Path

import pytest

from tests.conftest import RunCommand


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_folder_that_cannot_be_made_is_one_line(
    run_command: RunCommand, tmp_path: Path, place: str
) -> None:
    (tmp_path / "file").touch()
    for words in (("train.py", f"hydra.run.dir={place}"), ("evaluate.py", f"output={place}")):
        said = run_command(*words, code=1)
        assert said.startswith(f"error: {place}: ")
        assert said.count("\n") == 1
