"""`app.py` as a user calls it."""

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from src.errors import UserError
from src.webapp.cli import main
from src.weights.loading import create, to_official
from tests.conftest import RunCommand
from tests.running import ROOT, start, without_training
from tests.webapp.guided import encoded, two_reds


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "mine.pth"
    torch.save(to_official(create("u2netp")), path)
    return path


@pytest.mark.slow
def test_serves_until_it_is_stopped(weights: Path, tmp_path: Path) -> None:
    overrides = ["model=u2netp", f"weights={weights}", "size=32", "port=0", "device=cpu"]
    process = start("app.py", overrides, tmp_path)
    try:
        assert process.stdout is not None
        said = next(line for line in process.stdout if line.startswith("open "))
        address = said.split()[1].rstrip(",")
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{address}/api/model") as answer:
            model = json.load(answer)
        assert (model["model"], model["weights"], model["size"]) == (
            "u2netp",
            "mine.pth",
            "32 × 32",
        )
        data = encoded(two_reds()[0])
        with urllib.request.urlopen(f"{address}/api/pictures?name=a.png", data) as answer:
            key = json.load(answer)["id"]
        with urllib.request.urlopen(f"{address}/api/pictures/{key}/mask") as answer:
            assert answer.read(4) == b"\x89PNG"
    finally:
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in output
    assert list(tmp_path.iterdir()) == []


def test_help_is_light() -> None:
    code = "import sys, runpy; sys.argv = ['app.py', '--help']\n" + (
        "try: runpy.run_path('app.py', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules and 'fastapi' not in sys.modules"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert "python app.py weights=" in finished.stdout


def composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(ROOT / "conf"), version_base=None):
        return without_training(compose("app", list(overrides)))


@pytest.mark.parametrize(
    ("overrides", "words", "code"),
    [
        ([], "weights= is missing", 2),
        (["weights=nowhere.pth", "port=0"], "nowhere.pth: no such checkpoint", 1),
        (["weights=x", "port=70000"], "port=70000: give a whole number from 0 to 65535", 2),
        (["weights=x", "host=192.0.2.1"], "cannot serve on 192.0.2.1 port 7860", 1),
        (["weights=x", "max_megapixels=0"], "max_megapixels=0: give a number above 0", 2),
        (["weights=x", "max_memory_mb=0"], "max_memory_mb=0: give a number above 0", 2),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    overrides: list[str], words: str, code: int, run_command: RunCommand
) -> None:
    error = run_command("app.py", *overrides, code=code)
    assert error.startswith("error: ")
    assert words in error
    assert error.count("\n") == 1


def test_settings_that_do_not_fit_are_known_at_the_start(
    weights: Path,
) -> None:
    common = (f"weights={weights}", "model=u2netp", "size=32", "port=0", "device=cpu")
    for override, words, code in (("detail=blended", "InSPyReNet", 1), ("keep=0", "keep=0", 2)):
        with pytest.raises(UserError, match=words) as error:
            main(composed(*common, override))
        assert error.value.exit_code == code


def test_a_port_that_is_taken_is_known_before_the_model_is_loaded() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=rf"cannot serve on 127\.0\.0\.1 port {port}"):
            main(composed("weights=x", f"port={port}"))


def test_a_missing_temporary_folder_is_known_before_the_model_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", fail)
    with pytest.raises(UserError, match="No usable temporary directory found; make room there"):
        main(composed("weights=x", "port=0"))
