"""What this machine computes at most, to which the tables of benchmarks refer.

python -m benchmarks.limits [--device cuda]

The peak is not the vendor's: it is the best that a large matrix product and a large convolution
reach through torch here, in the same run as what is compared with it.
"""

import argparse
import functools
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F

# As the names of a precision in configs and in engines.
TYPES = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "32-true": torch.float32,
    "bf16-mixed": torch.bfloat16,
    "16-mixed": torch.float16,
}
_FEWEST = 3  # calls
# Operators that are products of matrices, in the names of torch, ONNX and OpenVINO.
_PRODUCTS = ("conv", "matmul", "gemm", "addmm", "bmm", "::mm", "attention", "fullyconnected")


@functools.cache
def peak(
    device: str, precision: str = "fp32", seconds: float = 1.0, side: int | None = None
) -> float:
    """Floating-point operations a second, the best call of any.

    Args:
        device: `cpu` or `cuda`.
        precision: A key of `TYPES`. On a GPU, fp32 is what torch makes of it unless told
            otherwise: convolutions in TF32.
        seconds: For each of the two; three calls at least.
        side: Of the matrices; None for what fills the device.
    """
    kind = TYPES[precision]
    side = side or (2048 if device == "cpu" else 8192)
    a, b = (torch.randn(side, side, device=device).to(kind) for _ in range(2))
    channels, images = side // 8, 1 if device == "cpu" else 8
    maps = torch.randn(images, channels, 128, 128, device=device).to(kind)
    maps = maps.contiguous(memory_format=torch.channels_last)
    weight = torch.randn(channels, channels, 3, 3, device=device).to(kind)
    weight = weight.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        return max(
            2 * side**3 / fastest(lambda: a @ b, device, seconds),
            2 * maps.numel() * channels * 9
            / fastest(lambda: F.conv2d(maps, weight, padding=1), device, seconds),
        )  # fmt: skip


def fastest(
    call: Callable[[], object], device: str, seconds: float, fewest: int = _FEWEST
) -> float:
    """Seconds of the fastest call, since what others do meanwhile only adds; the first warms up."""
    call()
    spent: list[float] = []
    while len(spent) < fewest or sum(spent) < seconds:
        wait(device)
        started = time.perf_counter()
        call()
        wait(device)
        spent.append(time.perf_counter() - started)
    return min(spent)


def wait(device: str) -> None:
    """Let a GPU finish what it was asked."""
    if device == "cuda":
        torch.cuda.synchronize()


class Parts(NamedTuple):
    """Where a call's time goes.

    products: Share in convolutions and products of matrices, 0 to 1.
    rest: The operators that take most of what is left, with their shares.
    """

    products: float
    rest: list[tuple[str, float]]

    def __str__(self) -> str:
        return ", ".join(f"{name} {share:.0%}" for name, share in self.rest)


def parts(spent: Mapping[str, float]) -> Parts:
    """Of the time that each kind of operator took, in any unit."""
    total = sum(spent.values())
    products = sum(t for name, t in spent.items() if _is_product(name))
    others = sorted(((t, n) for n, t in spent.items() if not _is_product(n)), reverse=True)
    return Parts(products / total, [(name, t / total) for t, name in others[:3]])


def _is_product(operator: str) -> bool:
    return any(part in operator.lower() for part in _PRODUCTS)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--seconds", type=float, default=3.0)
    arguments = parser.parse_args()
    for precision in ("fp32",) if arguments.device == "cpu" else ("fp32", "bf16", "fp16"):
        rate = peak(arguments.device, precision, arguments.seconds)
        print(f"{precision}: {rate / 1e12:.3f} TFLOP/s", flush=True)


if __name__ == "__main__":
    main()
