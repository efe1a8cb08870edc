"""Scale-invariant context attention (SICA): refines a saliency map where it is uncertain.

Kim et al., ACCV 2022, https://arxiv.org/abs/2209.09475, section 3.2.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .axial_attention import ConvBN
from .blocks import resize
from .precision import at_least_fp32, without_autocast


class ConvBNReLU(ConvBN):
    """`ConvBN` with a ReLU behind it."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(super().forward(x), inplace=True)


class ScaleInvariantAttention(nn.Module):
    """Every pixel attends to summaries of foreground, background and what lies between.

    Args:
        size: (height, width) at which the summaries are made, whatever the size of the maps; what
            makes the attention at high resolution the one that was trained at low resolution.
        with_laplacian: Also summarise by the sign of the coarser level's Laplacian.
    """

    def __init__(
        self, in_channels: int, channels: int, size: tuple[int, int], *, with_laplacian: bool
    ) -> None:
        super().__init__()
        self.size = size
        self.threshold = nn.Parameter(torch.tensor([0.5]))
        self.laplacian_threshold = nn.Parameter(torch.tensor([0.5])) if with_laplacian else None
        self.query = _two(in_channels, channels, 3)
        self.key = _two(in_channels, channels, 1)
        self.value = _two(in_channels, channels, 1)
        self.attended = ConvBNReLU(channels, channels, 3)
        self.join = ConvBNReLU(in_channels + channels, channels, 3)
        self.refine = ConvBNReLU(channels, channels, 3)
        self.head = ConvBN(channels, 1)

    def forward(
        self, x: Tensor, logits: Tensor, laplacian: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Refine `x` `(B, in_channels, h, w)` by the coarser level's `logits` and `laplacian`.

        Returns features `(B, channels, h, w)` and Laplacian logits `(B, 1, h, w)`.
        """
        contexts = self._contexts(x, self._regions(x, logits, laplacian))
        attended = self.attended(self._attend(x, contexts))
        x = self.refine(self.join(torch.cat([x, attended], dim=1)))
        return x, self.head(x)

    def _regions(self, x: Tensor, logits: Tensor, laplacian: Tensor | None) -> Tensor:
        """Maps of foreground, background and confusion, and of the Laplacian's two signs."""
        excess = _probability(logits, x) - self.threshold
        # Confusion is not clipped and becomes negative far from the threshold, as released.
        regions = [*_sides(excess), self.threshold - excess.abs()]
        if self.laplacian_threshold is not None:
            if laplacian is None:
                raise ValueError("this attention was built for a Laplacian and got none")
            regions += _sides(_probability(laplacian, x) - self.laplacian_threshold)
        return torch.cat(regions, dim=1)

    def _contexts(self, x: Tensor, regions: Tensor) -> Tensor:
        """The sum of features over each region, `(B, in_channels, regions, 1)`.

        The released networks read the memory of a map `(C, h·w)` as `(h·w, C)` without permuting
        it; the weights were trained so. Sums over 147,456 pixels overflow fp16, hence fp32.
        """
        with without_autocast(x):
            features, regions = (resize(at_least_fp32(m), self.size) for m in (x, regions))
            pixels = self.size[0] * self.size[1]
            rows = features.reshape(x.shape[0], pixels, -1)
            sums = regions.reshape(x.shape[0], -1, pixels) @ rows
        return sums.transpose(1, 2).unsqueeze(3)

    def _attend(self, x: Tensor, contexts: Tensor) -> Tensor:
        with without_autocast(x):
            key, value = (_as_heads(part(contexts)) for part in (self.key, self.value))
        query = _as_heads(self.query(x))
        attended = F.scaled_dot_product_attention(query, key.to(query), value.to(query))
        return attended[:, 0].transpose(1, 2).unflatten(2, x.shape[2:])


def _as_heads(x: Tensor) -> Tensor:
    """`(B, C, h, w)` to `(B, 1, h·w, C)`: one head, a token per position."""
    return x.flatten(2).transpose(1, 2).unsqueeze(1)


def _two(in_channels: int, channels: int, size: int) -> nn.Sequential:
    return nn.Sequential(
        ConvBNReLU(in_channels, channels, size), ConvBNReLU(channels, channels, size)
    )


def _probability(logits: Tensor, like: Tensor) -> Tensor:
    return resize(at_least_fp32(logits), like).sigmoid()


def _sides(excess: Tensor) -> list[Tensor]:
    return [excess.clamp(0, 1), (-excess).clamp(0, 1)]
