"""What this machine, this installation and its folders are: `finecut doctor`.

The first thing to look at, and to paste, when something is slow, missing or different elsewhere.
"""

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from src.errors import CommandError
from src.paths import CONF, files_below
from src.processes import available_cpus

HELP = "finecut doctor    versions, devices, extras, caches, weights and data sets of this machine"
_PACKAGES = ("torch", "torchvision", "lightning", "timm", "torchmetrics", "albumentations", "numpy")
# What each extra is for, by the package that shows whether it is installed.
_EXTRAS = {
    "export": ("onnxruntime", "export.py format=onnx, engine=onnxruntime"),
    "openvino": ("openvino", "engine=openvino"),
    "photos": ("pillow_heif", "HEIC, JPEG XL"),
    "video": ("av", "videos"),
    "coco": ("pycocotools", "COCO's masks, annotate.py"),
    "sweep": ("optuna", "sweep=optuna"),
    "page": ("fastapi", "app.py"),
    "shards": ("webdataset", "data shard"),
    "tables": ("xlsxwriter", "table formats=xlsx"),
}
# Names of the kernel for what makes a network quick on a CPU, and ours.
_CPU_FLAGS = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_vnni": "VNNI (8 bit)",
    "avx512_bf16": "bf16",
    "amx_bf16": "AMX bf16",
    "amx_int8": "AMX 8 bit",
}
_SETS = CONF / "data/sets"


def report() -> str:
    """The whole report; what cannot be found out is said in its line."""
    sections: dict[str, Callable[[], Iterator[str]]] = {
        "versions": _versions,
        "extras": _extras,
        "processors": _processors,
        "folders": _folders,
        "weights": _weights,
        "data sets": _data_sets,
    }
    return "\n".join(
        line for title, say in sections.items() for line in (f"{title}:", *_indented(say), "")
    )


def _indented(say: Callable[[], Iterator[str]]) -> Iterator[str]:
    try:
        yield from (f"  {line}" for line in say())
    except Exception as error:  # a broken driver must not hide the rest of the report
        yield f"  cannot be found out: {type(error).__name__}: {str(error).splitlines()[0]}"


def _versions() -> Iterator[str]:
    python = f"Python {platform.python_version()}"
    yield f"finecut {_version('finecut')}, {python}, {platform.platform()}"
    yield ", ".join(f"{name} {_version(name)}" for name in _PACKAGES)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _extras() -> Iterator[str]:
    for extra, (package, use) in _EXTRAS.items():
        state = f"{package} {_version(package)}" if find_spec(package) else "not installed"
        yield f"{extra}: {state} ({use})"


def _processors() -> Iterator[str]:
    import torch  # takes two seconds

    flags = _cpu_flags()
    able = ", ".join(name for flag, name in _CPU_FLAGS.items() if flag in flags) or "no AVX2"
    yield f"CPU: {available_cpus()} of {os.cpu_count()} cores, {able}"
    yield f"CPU kernels of torch: {torch.backends.cpu.get_cpu_capability()}"
    for index in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(index)
        bf16 = "bf16" if card.major >= 8 else "no bf16, take fp16"
        yield f"cuda:{index}: {card.name}, {card.total_memory / 2**30:.0f} GB, {bf16}"
    if not torch.cuda.is_available():
        built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built for CPUs"
        yield f"no CUDA device; torch is {built}"
    if torch.backends.mps.is_available():
        yield "mps: Apple's GPU"
    yield f"compile=true: {_compilers(torch.cuda.is_available())}"


def _cpu_flags() -> set[str]:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    named = (line for line in lines if line.startswith(("flags", "Features")))
    return set(next(named, "").split())


def _compilers(cuda: bool) -> str:
    needed = {"a C++ compiler": any(map(shutil.which, ("g++", "clang++", "c++")))}
    if cuda:
        needed["triton"] = find_spec("triton") is not None
    missing = [name for name, there in needed.items() if not there]
    return f"needs {' and '.join(missing)}" if missing else "can be used"


def _folders() -> Iterator[str]:
    from src.weights.registry import cache_folder

    caches = {
        "cached samples (FINECUT_CACHE)": Path(os.environ.get("FINECUT_CACHE", "cache")),
        "downloaded weights (FINECUT_WEIGHTS)": cache_folder(),
        "runs": Path("logs"),
    }
    for use, folder in caches.items():
        folder = folder.expanduser().absolute()
        size = f"{_size(folder) / 1e6:.0f} MB" if folder.is_dir() else "not there yet"
        yield f"{use}: {folder}, {size}"
    yield f"free here: {shutil.disk_usage('.').free / 1e9:.1f} GB"


def _size(folder: Path) -> int:
    """Bytes of the files in a folder; links are not followed."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118 - many files
            except OSError:  # removed since
                continue
    return total


def _weights() -> Iterator[str]:
    from src.weights.registry import cache_folder, released

    there = [entry for entry in released().values() if (cache_folder() / entry.file).is_file()]
    for entry in there:
        size = (cache_folder() / entry.file).stat().st_size
        yield f"{entry.name}: {entry.file}, {size / 1e6:.0f} MB"
    yield f"{len(there)} of {len(released())} released files are here"


def _data_sets() -> Iterator[str]:
    root = os.environ.get("FINECUT_DATA")
    if not root:
        yield "FINECUT_DATA is not set; data.root=FOLDER says where the sets lie"
        return
    folder = Path(root).expanduser()
    files = sorted(_SETS.glob("*.yaml"))
    found = dict.fromkeys(line for path in files for line in _data_set(path, folder))
    yield f"in {folder}: {len(found)} of the sets that finecut knows"
    yield from found


def _data_set(path: Path, root: Path) -> Iterator[str]:
    """A set that is there, with how many images it has and how many were released.

    A set of several folders has a line for each. Sets that a class finds itself are left out.
    """
    entry: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    given = entry.get("folder", entry)
    folders = {path.stem: given} if "images" in given else given
    for name, folder in folders.items():
        if isinstance(folder, dict) and (line := _folder_of_images(folder, root)):
            yield f"{name}: {line}"


def _folder_of_images(entry: dict[str, Any], root: Path) -> str | None:
    places = entry["images"]
    for place in [places] if isinstance(places, str) else places:
        if (root / place).is_dir():
            names = [
                file.stem
                for file in files_below(root / place)
                if file.suffix.lower() != entry.get("mask_extension")
            ]
            count = sum(fnmatchcase(name, entry.get("names", "*")) for name in names)
            return f"{root / place}, {count} files (released: {entry.get('count')})"
    return None


def main(words: Sequence[str] = ()) -> int:
    """Print the report."""
    if words:
        raise CommandError(f"finecut doctor takes no {words[0]!r}; it reports all that there is")
    print(report())
    sys.stdout.flush()
    return 0
