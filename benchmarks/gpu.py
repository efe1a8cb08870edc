"""Training and inference on one NVIDIA GPU, in stages, each row written as soon as it is there.

benchmarks/gpu.sh [--output FOLDER] [--minutes 30] [--only STAGE,STAGE] [--tiny]

Data are drawn and weights random, so that nothing is fetched. A stage is given a part of the time
and measures its rows in the order of their worth; what does not fit stays "not measured", and a
second run with the same folder goes on there. Rows that failed are tried again, after the others.
Each row is a process of its own, which has the GPU for itself. FOLDER gets `gpu.md`, the tables;
`gpu.json`, all that was found; and `rows/`, one file each.

`--tiny` runs every stage on the CPU in one process, with small networks, torch.compile told to
compile nothing, and, but for `isnet`, a row or two of a stage: its numbers mean nothing.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from src.atomic import atomic_write
from src.errors import UserError, exit_on_user_error
from src.processes import available_cpus, die_with_parent, processor_name
from src.render import MISSING, markdown_table
from src.results.provenance import git_state

# Not imported before a row runs: torch takes a part of the GPU's memory.
_STEP, _NETWORKS, _LIMITS = "benchmarks.step", "benchmarks.networks", "benchmarks.limits"
_PACKAGES = ("torch", "lightning", "timm", "onnxruntime", "onnxruntime-gpu", "tensorrt")
_LOOPS = {
    "plain, fp32": ["--side", "plain"],
    "ours, bf16": ["--side", "ours", "--precision", "bf16-mixed"],
    "ours, bf16, compiled": ["--side", "ours", "--precision", "bf16-mixed", "--compile"],
    "ours, fp32": ["--side", "ours"],
    "ours, bf16, CUDA graphs": ["--side", "ours", "--precision", "bf16-mixed", "--graphs"],
}
# Engine and precision.
_ENGINES = (
    *(("torch", "fp32"), ("torch", "bf16"), ("torch.compile", "bf16"), ("CUDA graphs", "bf16")),
    *(("onnxruntime CUDA", "fp32"), ("onnxruntime TensorRT", "fp32")),
)
_MODELS = ("birefnet", "isnet", "inspyrenet_swinb", "dextr", "inspyrenet_swinb_1024")
_ANCHOR = (
    "Published: `birefnet`, 1024², batch 4 on each of 8 A100-80G: 20 steps in 26 s, 3.1 images/s "
    "of each (its authors, BiRefNet's issue 46)."
)


@dataclass(frozen=True)
class Row:
    """What is measured at once.

    stage, name: Its place in the tables.
    module: Of benchmarks, or `fit`.
    words: Its command line.
    """

    stage: str
    name: str
    module: str
    words: Sequence[str] = field(default_factory=list)

    @property
    def file(self) -> str:
        return f"{self.stage}-{self.name}.json".replace(", ", "-").replace(" ", "_")


@dataclass(frozen=True)
class Stage:
    """Rows that share a part of the time.

    minutes: How long the stage may take, its part of thirty.
    """

    name: str
    minutes: float
    rows: list[Row]


def main(words: Sequence[str]) -> int:
    """Measure what is missing; the exit code is 1 while rows are."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("logs/gpu"))
    parser.add_argument("--minutes", type=float, default=30.0, help="no row lasts beyond them")
    parser.add_argument("--only", help="stages, with commas between them")
    parser.add_argument("--tiny", action="store_true", help="all stages on the CPU, in miniature")
    arguments = parser.parse_args(words)
    bench = Bench(arguments.output.absolute(), arguments.tiny)
    chosen = bench.stages()
    if arguments.only is not None:
        asked = arguments.only.split(",")
        if unknown := set(asked) - {stage.name for stage in chosen}:
            known = ", ".join(stage.name for stage in chosen)
            raise UserError(f"--only: no stage is called {min(unknown)!r}; choose of {known}")
        chosen = [stage for stage in chosen if stage.name in asked]
    end = time.monotonic() + 60 * arguments.minutes
    for stage in chosen:
        minutes = arguments.minutes if arguments.tiny else stage.minutes
        bench.run(stage, min(end, time.monotonic() + 60 * minutes))
    print((bench.output / "gpu.md").read_text(encoding="utf-8"))
    found = bench.found()
    return int(any("error" in found.get(row.file, {"error": 1}) for s in chosen for row in s.rows))


class Bench:
    """A folder of rows, and what measures those that it lacks.

    Args:
        output: The folder; made where there is none.
        tiny: On the CPU, in miniature.

    Raises:
        UserError: No GPU; packages are missing; or the folder's rows are of another machine.
    """

    def __init__(self, output: Path, tiny: bool) -> None:
        self.output, self.tiny = output, tiny
        self.rows = output / "rows"
        self.rows.mkdir(parents=True, exist_ok=True)
        self.machine = machine(tiny)
        for name, row in self.found().items():
            if row["machine"]["device"] != self.machine["device"]:
                raise UserError(
                    f"{self.rows / name} is of {row['machine']['device']}, and this is "
                    f"{self.machine['device']}; choose another folder: --output FOLDER"
                )

    def stages(self) -> list[Stage]:
        """All of them; thirty minutes together, each less than ten."""
        device = "cpu" if self.tiny else "cuda"
        size = ["--tiny", "--steps", "2", "--warm-up", "1", "--peak", "1"]
        if not self.tiny:
            size = ["--full", "--steps", "50", "--warm-up", "10"]
        step = ["--device", device, "--folder", str(self.output / "data"), *size]
        pass_ = [
            "--device",
            device,
            *(["--tiny", "--peak", "1", "--seconds", "0"] if self.tiny else []),
        ]

        def training(model: str, minutes: float) -> Stage:
            rows = [
                Row(model, name, _STEP, ["--models", model, *words, *step])
                for name, words in _LOOPS.items()
                if not self.tiny or model == "isnet" or name == "ours, bf16"
            ]
            return Stage(model, minutes, rows)

        inference = [
            Row(
                "inference",
                f"{model}, {engine}, {precision}",
                _NETWORKS,
                ["--models", model, "--engines", engine, "--precision", precision, *pass_],
            )
            for engine, precision in _ENGINES
            for model in _MODELS[: 2 if self.tiny else None]
            if not self.tiny or model == "isnet" or (engine, precision) == _ENGINES[0]
        ]
        return [
            Stage("fit", 2.5, [Row("fit", "miniature", "fit", self._fit())]),
            training("birefnet", 7),
            training("isnet", 4),
            training("inspyrenet_swinb", 4),
            *([] if self.tiny else [training("inspyrenet_swinb_1024", 4)]),
            training("dextr", 3),
            Stage("inference", 5.5, inference),
        ]

    def run(self, stage: Stage, end: float) -> None:
        """Measure the stage's rows that are missing, until `end` of the monotonic clock."""
        found = self.found()
        missing = [row for row in stage.rows if row.file not in found]
        missing += [row for row in stage.rows if "error" in found.get(row.file, {})]
        if any(row.module == _STEP for row in missing):
            self._draw()
        for row in missing:
            left = end - time.monotonic()
            if left < (0 if self.tiny else 20):  # seconds that the imports take
                break
            print(f"{row.stage}: {row.name}", file=sys.stderr, flush=True)
            started = time.monotonic()
            result = self._measured(row, left)
            result |= {"stage": row.stage, "name": row.name, "machine": self.machine}
            result["seconds"] = time.monotonic() - started
            atomic_write(self.rows / row.file, json.dumps(result, indent=1))
            self.write()
        self.write()

    def found(self) -> dict[str, dict[str, Any]]:
        """The rows that are there, by the names of their files."""
        files = sorted(self.rows.glob("*.json"))
        return {path.name: json.loads(path.read_text(encoding="utf-8")) for path in files}

    def write(self) -> None:
        """Write the tables of what is there."""
        found = self.found()
        rows = {
            row.file: found.get(row.file, {}) | {"stage": row.stage, "name": row.name}
            for stage in self.stages()
            for row in stage.rows
        }
        atomic_write(self.output / "gpu.json", json.dumps(list(rows.values()), indent=1))
        atomic_write(self.output / "gpu.md", "\n".join(_page(list(rows.values()), self.machine)))

    def _measured(self, row: Row, seconds: float) -> dict[str, Any]:
        words = list(row.words)
        if row.module == "fit":
            return _outcome(partial(self._fitted, words, seconds))
        if self.tiny:
            module: Any = __import__(row.module, fromlist=["measure"])
            return _outcome(lambda: module.measure(module.parser().parse_args(words)))
        words.append("--row") if row.module == _NETWORKS else None
        environment = {"OMP_WAIT_POLICY": "PASSIVE"} if "ours" in words else {}
        return _outcome(
            lambda: json.loads(_said([row.module, *words], seconds, environment).splitlines()[-1])
        )

    def _draw(self) -> None:
        """The data of the training stages: a folder that is there whole or not at all."""
        data = self.output / "data"
        if not data.is_dir():
            count, side = (4, 64) if self.tiny else (64, 1600)
            unfinished = data.with_name("data.partial")
            code = (
                "import sys; from pathlib import Path; from benchmarks.step import write_folder; "
                "write_folder(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))"
            )
            unfinished.mkdir(exist_ok=True)
            if self.tiny:
                from .step import write_folder

                write_folder(unfinished, count, side)
            else:
                words = [sys.executable, "-c", code, str(unfinished), str(count), str(side)]
                subprocess.run(words, check=True)
            unfinished.rename(data)

    def _fit(self) -> list[str]:
        if self.tiny:
            small = ["model.size=32", "data.size=32", "data.lengths={train: 2, val: 1, test: 1}"]
            return ["experiment=miniature/u2netp", *small, "metrics.test=[mae,max_f]"]
        return ["experiment=demo", "trainer.accelerator=gpu", "trainer.precision=bf16-mixed"]

    def _fitted(self, words: list[str], seconds: float) -> dict[str, Any]:
        """Train, test and read the results as a user does."""
        folder = self.output / "fit"
        shutil.rmtree(folder, ignore_errors=True)  # of a run that was stopped
        words = [*words, f"hydra.run.dir={folder}", "callbacks.progress=null"]
        started = time.monotonic()
        _said(["src", "train", *words], seconds, {})
        spent = time.monotonic() - started
        from src.results.folder import read_results_folder

        (values,) = read_results_folder(folder).values.values()
        scores = {name: values[name] for name in ("max_f", "mae")}
        return {"command": " ".join(words[:3]), "fit_seconds": spent, **scores}


def machine(tiny: bool) -> dict[str, Any]:
    """What the rows are of; in a process of its own, which gives the GPU back.

    Raises:
        UserError: torch sees no GPU, or cannot be imported.
    """
    code = "import torch; print(torch.cuda.is_available() and torch.cuda.get_device_name())"
    said = platform.machine()
    if not tiny:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        said = done.stdout.strip()
        if done.returncode:
            raise UserError(f"{sys.executable} cannot import torch: set PYTHON to one that can")
        if said == "False":
            raise UserError("torch sees no GPU here; --tiny runs all stages on the CPU")
    installed = {}
    for package in _PACKAGES:
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "device": said,
        "processor": processor_name(),
        "cpus": available_cpus(),
        "python": platform.python_version(),
        "versions": installed,
        **git_state(),
    }


def _said(words: Sequence[str], seconds: float, environment: Mapping[str, str]) -> str:
    """The standard output of a module of this repository.

    Raises:
        UserError: It failed, with the last line that it said.
        subprocess.TimeoutExpired: It took longer; its processes are gone.
    """
    with subprocess.Popen(
        [sys.executable, "-m", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | dict(environment),
        start_new_session=True,  # its workers are stopped with it
        preexec_fn=die_with_parent,
    ) as process:
        try:
            output, errors = process.communicate(timeout=seconds)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        lines = errors.strip().splitlines() or output.strip().splitlines()
        raise UserError(lines[-1] if lines else f"ended with code {process.returncode}")
    return output


def _outcome(measure: Any) -> dict[str, Any]:
    """What a row found, or why it found nothing: an engine that is not installed is a row too."""
    try:
        found: dict[str, Any] = measure()
    except subprocess.TimeoutExpired as stopped:
        # Tried again by the next run, after the rows that were never tried.
        return {"error": f"not measured: stopped after {stopped.timeout:.0f} s"}
    except Exception as error:
        text = str(error).strip() or type(error).__name__
        return {"error": text.splitlines()[-1][:300]}
    return found


def _page(rows: Sequence[dict[str, Any]], machine: Mapping[str, Any]) -> Iterator[str]:
    """The tables of all rows, of which some may have nothing but their names."""
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    yield f"{machine['device']}; {machine['processor']}, {machine['cpus']} CPUs; Python"
    yield f"{machine['python']}, {versions}."
    commits = sorted(
        {f"{row['machine']['commit']}"[:12] for row in rows if "machine" in row} or {"none yet"}
    )
    yield f"Commit: {', '.join(commits)}. Drawn data, random weights.\n"
    training = [row for row in rows if row["stage"] not in ("fit", "inference")]
    yield "## Training\n"
    yield "Timed: steps 11 to 50. Waiting: share of the time in which the GPU has nothing to do,"
    yield "since the next batch is not there. bf16 apart: gray levels of 255 from fp32, the largest"
    yield "and the mean."
    yield _ANCHOR + "\n"
    head = ["model", "loop", "input, batch", "images/s", "× plain", "MiB", "waiting"]
    head += ["loss: first", "last", "of the peak", "bf16 apart", ""]
    yield markdown_table(head, [_training_cells(row, training) for row in training], "lllr")
    yield "## Inference, one image\n"
    head = ["model, engine, precision", "input", "ms", "images/s", "MiB", "of the peak"]
    head += ["apart from fp32", ""]
    passes = [row for row in rows if row["stage"] == "inference"]
    yield markdown_table(head, [_inference_cells(row) for row in passes], "llr")
    yield "## A run from data to results\n"
    for row in rows:
        if row["stage"] == "fit":
            if "fit_seconds" in row:
                yield (
                    f"`finecut train {row['command']}`: {row['fit_seconds']:.0f} s, max F "
                    f"{row['max_f']:.3f}, MAE {row['mae']:.3f}.\n"
                )
            else:
                yield f"{_remark(row)}\n"


def _training_cells(row: dict[str, Any], rows: Sequence[dict[str, Any]]) -> list[str]:
    head = [row["stage"], row["name"]]
    if "samples" not in row:
        return [*head, *[MISSING] * 9, _remark(row)]
    plain = next((r for r in rows if r["stage"] == row["stage"] and "plain" in r["name"]), {})
    ratio = row["samples"] / plain["samples"] if "samples" in plain else None
    return [
        *(*head, f"{row['size']}², {row['batch']}", f"{row['samples']:.2f}"),
        MISSING if ratio is None else f"{ratio:.2f}",
        *(f"{row['memory']:.0f}", f"{row['waiting']:.0%}", f"{row['first']:.4f}"),
        *(f"{row['last']:.4f}", f"{row['share']:.0%}", _apart(row), ""),
    ]


def _inference_cells(row: dict[str, Any]) -> list[str]:
    if "ms" not in row:
        return [row["name"], *[MISSING] * 6, _remark(row)]
    return [
        *(row["name"], "×".join(map(str, row["size"])), f"{row['ms']:.1f}"),
        *(f"{1000 / row['ms']:.1f}", f"{row['memory']:.0f}", f"{row['share']:.0%}"),
        *(_apart(row), ""),
    ]


def _apart(row: dict[str, Any]) -> str:
    return MISSING if row["apart"] is None else "{:.1f}, {:.3f}".format(*row["apart"])


def _remark(row: dict[str, Any]) -> str:
    return row.get("error", "not measured")


if __name__ == "__main__":
    sys.exit(exit_on_user_error(main)(sys.argv[1:]))
