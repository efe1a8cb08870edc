"""`finecut reproduce`: says the cost, checks the data, trains and tests, writes the table."""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from src.command_line import quote_overrides
from src.errors import CommandError, UserError
from src.paths import CONF, IMPORT_ROOT
from src.plain_data import read_json
from src.reporting import cli as tables
from src.reporting.cli import settings
from src.reproduce.recipes import composed, estimate, named
from src.settings.commands import ReproduceSettings
from src.settings.parse import parse
from src.sweeps.jobs import JOB

CONFIG = CONF / "reproduce.yaml"
SWEEPS = Path("logs/sweeps")
HELP = """finecut reproduces rows of a paper's table: cost, data check, training, test, table.

  finecut reproduce experiment=isnet/dis5k seeds=0,1,2 data.root=SETS   one row
  finecut reproduce experiment=u2net seeds=0,1,2 data.root=SETS         every row of a paper

"""
_READERS = 4  # threads of the data check


def train(words: Sequence[str]) -> None:
    """Run train.py to its end. Raises UserError where it fails; it has said why by then."""
    done = subprocess.run(_command(words), env=_environment(), check=False)
    if done.returncode:
        raise UserError(f"train.py {' '.join(words)} failed, see above")


def side_by_side(calls: Mapping[str, Sequence[str]], at_once: int, logs: Path) -> None:
    """Run calls of train.py, `at_once` of them at a time, each with its output in a file.

    Args:
        calls: By name; the name's file is `<logs>/<name>/train.log`.
        at_once: How many run at a time.
        logs: Folder of the files.

    Raises:
        UserError: One failed; the others have run to their end.
    """

    def call(name: str) -> str | None:
        path = logs / name / "train.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as log:
            code = subprocess.run(
                _command(calls[name]),
                env=_environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            ).returncode
        print(f"{name}: {'done' if code == 0 else 'failed'}, see {path}", flush=True)
        return name if code else None

    with ThreadPoolExecutor(at_once) as pool:
        failed = [name for name in pool.map(call, calls) if name]
    if failed:
        raise UserError(f"train.py failed for {', '.join(failed)}; see their train.log in {logs}")


def _command(words: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "src", "train", *words]


def _environment() -> dict[str, str]:
    """This one's, with `src` to be found from any folder."""
    path = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
        "PYTHONPATH": f"{IMPORT_ROOT}{os.pathsep}{path}" if path else str(IMPORT_ROOT),
    }


class Reproduction(NamedTuple):
    """What was asked for; `overrides` are train.py's, the same for every recipe and seed."""

    recipes: list[str]
    seeds: list[int]
    overrides: list[str]


def main(words: Sequence[str]) -> int:
    """Carry out a command line; returns the exit code."""
    cfg = parse(ReproduceSettings, settings(CONFIG, words))
    plan = planned(cfg)
    output = Path(cfg.output).expanduser()
    output.mkdir(parents=True, exist_ok=True)
    os.chdir(output)
    _say_cost(plan)
    if not begun(plan):
        _check_data(plan)
        if cfg.measure:
            _measure(plan)
    _train(plan, cfg.at_once)
    return _write_table(plan)


def planned(cfg: ReproduceSettings) -> Reproduction:
    """The recipes, seeds and overrides of the settings, all of them found to compose."""
    try:
        overrides = shlex.split(cfg.train)
    except ValueError as error:
        raise CommandError(f"train={cfg.train}: {error}") from None
    if cfg.data.root is not None:
        overrides.insert(0, f"data.root={Path(cfg.data.root).expanduser().absolute()}")
    plan = Reproduction(named(cfg.experiment), cfg.seeds, quote_overrides(overrides))
    for recipe in plan.recipes:
        composed(recipe, plan.overrides)
    return plan


def begun(plan: Reproduction) -> bool:
    """Whether every recipe has a job already: its data was checked before that one started."""
    return all(jobs_of(recipe) for recipe in plan.recipes)


def unfinished(plan: Reproduction) -> list[str]:
    """The recipes and seeds that no finished job with the plan's overrides stands for."""
    missing = []
    for recipe in plan.recipes:
        done = [
            {_plain(word) for word in job["overrides"]}
            for job in jobs_of(recipe)
            if job.get("state") == "finished"
        ]
        for seed in plan.seeds:
            words = [f"experiment={recipe}", f"seed={seed}", *plan.overrides]
            if not any({_plain(word) for word in words} <= job for job in done):
                missing.append(f"{recipe} seed={seed}")
    return missing


def jobs_of(recipe: str) -> list[dict[str, Any]]:
    """What the jobs of a recipe's sweep recorded of themselves."""
    jobs = []
    for path in sorted((SWEEPS / recipe).glob(f"*/{JOB}")):
        job = read_json(path, "remove it to have the job run again")
        overrides = job.get("overrides")
        if not isinstance(overrides, list) or not all(isinstance(o, str) for o in overrides):
            raise UserError(f"{path} names no overrides; remove it to have the job run again")
        jobs.append(job)
    return jobs


def _plain(override: str) -> str:
    """Without the spaces and quotes that Hydra may write otherwise than the user."""
    return "".join(letter for letter in override if letter not in " '\"")


def _say_cost(plan: Reproduction) -> None:
    _stage("cost", f"{len(plan.recipes)} recipe(s), {len(plan.seeds)} seed(s) of each")
    for recipe in plan.recipes:
        said = estimate(recipe)
        print(f"{recipe}, a seed: {said or 'its README states no estimate'}")


def _check_data(plan: Reproduction) -> None:
    _stage("data", "every file is read before anything trains")
    checked: list[object] = []
    for recipe in plan.recipes:
        data = composed(recipe, plan.overrides).data
        plain = OmegaConf.to_container(data, resolve=True)
        assert isinstance(plain, dict)
        sets = [plain.get(part) for part in ("root", "train", "val", "test")]
        if "train" not in plain:
            print(f"{recipe}: its images are drawn, there is no file to check")
        elif sets not in checked:
            checked.append(sets)
            _check_files(recipe, data)


def _check_files(recipe: str, data: DictConfig) -> None:
    from src.datamodules import check

    print(f"{recipe}:", flush=True)
    output = Path("logs/check") / recipe
    inspections = check.inspections_of(data)
    report = check.check(inspections, output, _READERS)
    check.show(inspections, report, output)
    if report["problems"]:
        raise UserError(f"the data of {recipe} has {len(report['problems'])} problems, above")


def _measure(plan: Reproduction) -> None:
    _stage("dry run", "a few steps at full size on this machine; times are of one seed")
    for recipe in plan.recipes:
        print(f"{recipe}:", flush=True)
        folder = f"hydra.run.dir=logs/reproduce/{recipe}/dry_run"
        train([f"experiment={recipe}", "dry_run=true", folder, *plan.overrides])


def _train(plan: Reproduction, at_once: int) -> None:
    _stage("training and test", "finished jobs are skipped, stopped ones continue")
    seeds = f"seed={','.join(map(str, plan.seeds))}"
    calls = {r: ["-m", f"experiment={r}", seeds, *plan.overrides] for r in plan.recipes}
    if at_once > 1:
        side_by_side(calls, at_once, Path("logs/reproduce"))
    else:
        for words in calls.values():
            train(words)
    if missing := unfinished(plan):
        raise UserError(
            f"not finished: {', '.join(missing)}. Each job's job.log in {SWEEPS} says why; the "
            "same command tries again"
        )


def _write_table(plan: Reproduction) -> int:
    _stage("table", "ours, what was printed, and the difference")
    words = [f"runs=[{','.join(str(SWEEPS / recipe) for recipe in plan.recipes)}]"]
    if len(plan.recipes) == 1:
        words.append(f"experiment={plan.recipes[0]}")
    return tables.main([*words, "output=tables"])


def _stage(name: str, what: str) -> None:
    print(f"\n=== {name}: {what}", flush=True)
