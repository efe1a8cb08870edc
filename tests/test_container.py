"""The container and the other places that say how finecut is built and tested.

No image can be built where there is no Docker, so what these files name is looked up: the files
that are copied, the commands that are started, the targets that are made.
"""

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from packaging.specifiers import SpecifierSet

from src.cli import config_of
from src.settings.commands import AppSettings
from src.settings.parse import parse
from src.weights.registry import find
from tests.inference.tiny import finder
from tests.running import ROOT, without_training
from tests.webapp.guided import serving


def instructions() -> list[tuple[str, str]]:
    """Of the Dockerfile, in order."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(line.partition(" ")[0], line.partition(" ")[2].strip()) for line in lines if line]


def given(name: str) -> list[str]:
    return [words for instruction, words in instructions() if instruction == name]


PROJECT = (ROOT / "pyproject.toml").read_text()  # read as text: Python 3.10 has no tomllib
EXTRAS = re.findall(
    r"^(\w+) = \[", PROJECT.split("[project.optional-dependencies]")[1], re.MULTILINE
)


def started(words: list[str]) -> AppSettings:
    """The settings of a command line of finecut that starts the page."""
    name, *settings = words
    assert name == "app"
    with initialize_config_dir(str(ROOT / "conf"), version_base=None):
        cfg = compose(config_of(name, settings), settings)
    return parse(AppSettings, without_training(cfg))


def test_what_is_copied_is_there_and_not_ignored() -> None:
    kept = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    copied = [words.split()[:-1] for words in given("COPY") if not words.startswith("--from")]
    names = {name for some in copied for name in some}
    assert names == kept
    assert [name for name in names if not (ROOT / name).exists()] == []
    needed = {"src", "conf", "experiments", "hydra_plugins", "setup.py", "MANIFEST.in"}
    assert needed <= names, "setup.py makes the wheel of these"


def test_the_image_starts_the_page_without_being_root() -> None:
    bases = [words.partition(" AS ")[0] for words in given("FROM")]
    assert bases == ["python:${PYTHON}-slim-bookworm"] * 2, "slim, and without what built it"
    names = [name for name, _ in instructions()]
    names = names[len(names) - names[::-1].index("FROM") :]
    assert names.index("USER") < names.index("ENTRYPOINT") < names.index("CMD")
    assert given("USER") == ["finecut"]
    assert json.loads(given("ENTRYPOINT")[0]) == ["finecut"]
    assert re.search(r"^finecut = ", PROJECT, re.MULTILINE)


def test_the_default_command_is_one() -> None:
    settings = started(json.loads(given("CMD")[0]))
    assert settings.host == "0.0.0.0"
    assert given("EXPOSE") == [str(settings.port)]
    assert settings.weights is not None
    released = find(settings.weights)
    assert released is not None
    assert released.urls, "it comes by its name, without a browser"


def test_the_health_check_asks_a_route_that_answers() -> None:
    check = json.loads(given("HEALTHCHECK")[0].partition("CMD ")[2])
    assert check[:2] == ["python", "-c"]
    compile(check[2], "health check", "exec")
    (port, path) = re.search(r"127\.0\.0\.1:(\d+)(/\w+)", check[2]).groups()  # type: ignore[union-attr]
    assert given("EXPOSE") == [port]
    with serving(finder()) as client:
        assert client.get(path).status_code == 200


def test_the_image_has_a_python_that_is_promised() -> None:
    (argument,) = (words for words in given("ARG") if words.startswith("PYTHON="))
    assert f'"Programming Language :: Python :: {argument.partition("=")[2]}"' in PROJECT
    extras = re.findall(r"--extra (\w+)", " ".join(given("RUN")))
    assert "page" in extras
    assert set(extras) <= set(EXTRAS)


def test_caches_lie_in_the_volume() -> None:
    (volume,) = given("VOLUME")
    variables = dict(part.split("=", 1) for words in given("ENV")[1:] for part in words.split())
    kept = {name: value for name, value in variables.items() if value.startswith("/cache")}
    assert volume == "/cache"
    assert {"FINECUT_WEIGHTS", "FINECUT_CACHE", "HF_HOME"} <= set(kept)


def test_compose_builds_and_starts_what_is_there() -> None:
    content = yaml.safe_load((ROOT / "compose.yaml").read_text())
    arguments = {words.partition("=")[0] for words in given("ARG")}
    choices = re.findall(r"(\w+)\) backend=", " ".join(given("RUN")))
    assert set(content["services"]) == {"cpu", "cuda"}
    for name, service in content["services"].items():
        assert set(service["build"]["args"]) <= arguments
        assert service["build"]["args"]["DEVICE"] == name
        assert name in choices
        words = [re.sub(r"\$\{\w+:-([^}]+)\}", r"\1", word) for word in service["command"]]
        settings = started(words)
        assert find(settings.weights or "") is not None
        assert service["ports"] == [f"127.0.0.1:{settings.port}:{settings.port}"]
        volume, _, place = service["volumes"][0].partition(":")
        assert volume in content["volumes"]
        assert given("VOLUME") == [place]
        assert service["read_only"] is True


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("path", sorted((ROOT / ".github/workflows").glob("*.yaml")), ids=str)
def test_workflows_call_targets_of_the_makefile(path: Path) -> None:
    jobs = yaml.safe_load(path.read_text())["jobs"]
    called = [
        shlex.split(step["run"]) for job in jobs.values() for step in job["steps"] if "run" in step
    ]
    made = {word for words in called if words[0] == "make" for word in words[1:]}
    assert {"lint", "test", "test-lowest", "wheel"} <= made <= make_targets()
    assert {words[0] for words in called} <= {"make", "docker"}
    ci = (ROOT / ".ci/run").read_text()
    assert set(re.findall(r"^\s*make ([a-z-]+)", ci, re.MULTILINE)) <= made


def test_workflows_test_every_python_that_is_promised() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yaml").read_text())["jobs"]
    versions = jobs["test"]["strategy"]["matrix"]["python"]
    assert versions == ["3.10", "3.11", "3.12", "3.13"]
    (promised,) = map(SpecifierSet, re.findall(r'^requires-python = "(.+)"', PROJECT, re.MULTILINE))
    assert all(f"{version}.0" in promised for version in versions)
    assert "3.9.0" not in promised


def test_hooks_before_a_commit_call_what_lint_calls() -> None:
    content = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [repo["repo"] for repo in content["repos"]] == ["local"]
    hooks = [hook["entry"] for repo in content["repos"] for hook in repo["hooks"]]
    tools = {Path(entry.split()[0]).name for entry in hooks}
    assert tools == {"ruff", "mypy"}
    assert all(f'"{tool}>=' in PROJECT for tool in tools)
    assert all(entry.startswith(".venv/bin/") for entry in hooks)


def test_the_development_container_makes_the_environment() -> None:
    content = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    made = content["postCreateCommand"].split()
    assert made[0] == "make"
    assert set(made[1:]) <= make_targets()
    assert content["forwardPorts"] == [int(port) for port in given("EXPOSE")]
