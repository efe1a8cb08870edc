"""One command line: its help, its words, its exit codes."""

import re
from pathlib import Path

import pytest
import torch

from src import cli
from src.weights.loading import create, to_official
from tests.conftest import RunCommand
from tests.running import ROOT, write_pairs


def said(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    return captured.out + captured.err


def test_the_help_lists_every_command_with_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    text = said(capsys)
    for name, command in cli.COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(command.purpose)}$", text, re.MULTILINE)


def test_no_command_at_all_is_answered_with_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert "finecut COMMAND" in said(capsys)


def test_a_mistyped_command_is_answered_with_a_near_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["pridict"]) == 2
    assert said(capsys) == (
        "error: finecut has no command 'pridict'; did you mean predict?; `finecut --help` lists"
        " them\n"
    )


@pytest.mark.parametrize("name", [n for n, command in cli.COMMANDS.items() if command.config])
def test_every_command_shows_its_keys(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main([*name.split(), "--help"]) == 0
    assert re.search(r"^  [\w.]+=", said(capsys), re.MULTILINE)


@pytest.mark.parametrize("name", [n for n, command in cli.COMMANDS.items() if not command.config])
def test_a_command_without_a_config_explains_itself_and_does_nothing(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for word in ("--help", "-h", "help"):
        assert cli.main([name, word]) == 0
        assert re.search(r"finecut|tables\.py", said(capsys))
    assert not list(tmp_path.iterdir())


def test_a_default_that_is_named_by_what_is_not_chosen_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["check", "--help"]) == 0
    assert "output=logs/check/<data> " in said(capsys)


def test_every_script_of_the_root_is_a_command() -> None:
    for script in set(ROOT.glob("*.py")) - {ROOT / "setup.py"}:
        (command,) = re.findall(r'main\(\["(\w+)", \*sys.argv\[1:\]\]\)', script.read_text())
        assert command in cli.COMMANDS


def test_a_bare_path_is_the_input_and_what_is_chosen_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    write_pairs(tmp_path / "data", 1)
    (tmp_path / "data/images/picture0.png").rename(tmp_path / "my photo.png")
    torch.save(to_official(create("u2netp")), tmp_path / "u2netp.pth")
    code = cli.main(["predict", "my photo.png", "weights=u2netp.pth", "size=32", "device=cpu"])
    text = said(capsys)
    assert code == 0, text
    assert "chosen: type=rgba output=cutouts" in text
    assert (tmp_path / "cutouts/my photo.png").is_file()


def test_a_path_cannot_be_named_in_two_ways(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["predict", "a.jpg", "input=b.jpg"]) == 2
    assert "a.jpg and input=" in said(capsys)


def test_words_and_environment_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    import os
    import sys

    before = (list(sys.argv), os.environ.get("HYDRA_FULL_ERROR"))
    cli.main(["predict", "batch_size=0"])
    assert (sys.argv, os.environ.get("HYDRA_FULL_ERROR")) == before


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("finecut ", {name.split()[0] for name in cli.COMMANDS}),
        ("finecut data s", {"shard"}),
        ("finecut data shard per", {"per_shard="}),
        ("finecut ex", {"export"}),
        ("finecut train model=is", {"model=isnet", "model=isnet_gt_encoder"}),
        ("finecut export form", {"format="}),
        ("finecut check data=dis5k data.ro", {"data.root="}),
        ("finecut reproduce seed", {"seeds="}),
        ("finecut doctor ", set()),
        ("finecut nothing ", set()),
        ("finecut train a=[ mo", set()),
    ],
)
def test_the_shell_completes_commands_keys_and_choices(
    line: str,
    offered: set[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COMP_LINE", line)
    cli.main(["-sc", "query=bash"])
    assert set(capsys.readouterr().out.split()) == offered


@pytest.mark.parametrize("words", [[], ["predict"]])
def test_completion_is_installed_for_finecut(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*words, "-sc", "install=bash"]) == 0
    assert capsys.readouterr().out.rstrip().endswith("-F hydra_bash_completion finecut")


def test_completion_of_a_script_is_installed_for_python(run_command: RunCommand) -> None:
    assert run_command("train.py", "-sc", "install=bash").rstrip().endswith("_completion python")


def test_a_word_behind_an_option_is_no_path(run_command: RunCommand) -> None:
    assert "input: null" in run_command("predict.py", "--cfg", "job")
