"""Input sizes that follow the image, for InSPyReNet at high resolution (Kim et al., ACCV 2022)."""

STRIDE = 32


def dynamic_size(width: int, height: int, limit: int, stride: int = STRIDE) -> tuple[int, int]:
    """Width and height to feed: the short side at most `limit`, both sides divisible by `stride`.

    Sides are rounded as the authors' are, halves to the even multiple (80 to 64, 112 to 128). A
    side of half a stride or less, which theirs turns into nothing, becomes one stride.

    Args:
        width: Of the original image.
        height: Of the original image.
        limit: Images with a longer short side are scaled down to it, keeping their shape.
        stride: Divides both sides.

    Raises:
        ValueError: A side or the limit is not positive.
    """
    if min(width, height, limit) < 1:
        raise ValueError(f"{width}×{height} with a limit of {limit}: all must be at least 1")
    scale = min(1.0, limit / min(width, height))
    return _to_multiple(width * scale, stride), _to_multiple(height * scale, stride)


def _to_multiple(side: float, stride: int) -> int:
    return max(1, round(side / stride)) * stride
