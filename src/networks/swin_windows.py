"""Windowed attention on maps of any size, as in the Swin used for detection.

timm's own block rolls a map before it pads it to whole windows; the authors of Swin pad first, so
that the padding takes part in the roll. The two differ wherever a side is no multiple of the
window, so the order is ours here and the parameters are timm's.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Pair = tuple[int, int]

# Written into the mask instead of -inf, as in the released networks.
_OTHER_REGION = -100.0


def swin_block(block: Any, x: Tensor, mask: Tensor) -> Tensor:
    """Run timm's `SwinTransformerBlock` on `x` `(B, H, W, C)`, with the stage's mask."""
    x = x + block.drop_path1(_attend(block, block.norm1(x), mask))
    return x + block.drop_path2(block.mlp(block.norm2(x)))


def shifted_window_mask(x: Tensor, window: Pair, shift: Pair) -> Tensor:
    """What a shifted window must not mix: `(windows, N, N)`, 0 within a region, else -100.

    After the roll the last window of each axis holds pixels from both ends of the map.

    Args:
        x: A map `(B, H, W, C)`, of which only the size and the device count.
    """
    rows, columns = (
        _region(side, length, step, x.device)
        for side, length, step in zip(x.shape[1:3], window, shift, strict=True)
    )
    regions = _to_windows((3 * rows[:, None] + columns)[None, :, :, None], window).squeeze(2)
    return (regions[:, :, None] != regions[:, None]) * _OTHER_REGION


def _region(side: int, window: int, shift: int, device: torch.device) -> Tensor:
    """Along one padded axis: 0, then 1 in the last window up to the roll's seam, then 2."""
    padded = side + -side % window
    position = torch.arange(padded, device=device)
    return (position >= padded - window).int() + (position >= padded - shift).int()


def _attend(block: Any, x: Tensor, mask: Tensor) -> Tensor:
    _, height, width, _ = x.shape
    window, shift = block.window_size, block.shift_size
    shifted = any(shift)
    x = F.pad(x, (0, 0, 0, -width % window[1], 0, -height % window[0]))
    if shifted:
        x = torch.roll(x, (-shift[0], -shift[1]), dims=(1, 2))
    attended = block.attn(_to_windows(x, window), mask=mask if shifted else None)
    x = _from_windows(attended, window, x.shape[1:3])
    if shifted:
        x = torch.roll(x, shift, dims=(1, 2))
    return x[:, :height, :width]


def _to_windows(x: Tensor, window: Pair) -> Tensor:
    """`(B, H, W, C)` to `(B · windows, N, C)`, windows row by row."""
    batch, height, width, channels = x.shape
    tall, wide = window
    x = x.reshape(batch, height // tall, tall, width // wide, wide, channels)
    return x.transpose(2, 3).reshape(-1, tall * wide, channels)


def _from_windows(windows: Tensor, window: Pair, size: torch.Size) -> Tensor:
    (tall, wide), (height, width) = window, size
    x = windows.reshape(-1, height // tall, width // wide, tall, wide, windows.shape[-1])
    return x.transpose(2, 3).reshape(-1, height, width, windows.shape[-1])
