"""BiRefNet's criteria and its gradient loss (Zheng et al., 2024, arXiv:2401.03407, section 3.4).

The pixel loss is a sum of `DeepSupervision` terms over these criteria, at the mask's size:
30 · cross-entropy + 0.5 · IoU + 10 · SSIM, and 100 · the absolute error for general use.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from src.datamodules.batch import Batch
from src.networks.blocks import at_least_fp32, resize_corners, without_autocast
from src.networks.network import Output

_C1, _C2 = 0.01**2, 0.03**2


class RegionIoU(nn.Module):
    """1 - soft intersection over union of each image, summed over the batch.

    Takes logits and a soft mask, both `(B, 1, H, W)`. The sum is the authors': the term weighs the
    more the larger the batch.
    """

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        probability, mask = at_least_fp32(logits).sigmoid(), at_least_fp32(mask)
        intersection = (probability * mask).sum(dim=(1, 2, 3))
        union = (probability + mask).sum(dim=(1, 2, 3)) - intersection
        return (1 - intersection / union).sum()


class AbsoluteError(nn.Module):
    """Mean distance of probabilities from a soft mask, from logits, both `(B, 1, H, W)`."""

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        return F.l1_loss(at_least_fp32(logits).sigmoid(), at_least_fp32(mask))


class StructuralDissimilarity(nn.Module):
    """(1 - mean SSIM) / 2 of probabilities and a soft mask, from logits, both `(B, 1, H, W)`.

    SSIM (Wang et al., 2004) looks through a Gaussian of 11×11 pixels, σ 1.5, with zeros beyond the
    border.
    """

    window: Tensor

    def __init__(self, side: int = 11, sigma: float = 1.5) -> None:
        super().__init__()
        places = torch.arange(side, dtype=torch.float64) - side // 2
        row = torch.exp(-places.square() / (2 * sigma**2))
        self.register_buffer("window", row / row.sum(), persistent=False)

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        x, y = at_least_fp32(logits).sigmoid(), at_least_fp32(mask)
        count = len(x)
        with without_autocast(x):
            mean_x, mean_y, xx, yy, xy = self._blur(torch.cat([x, y, x * x, y * y, x * y])).split(
                count
            )
        both = mean_x * mean_y
        squares = mean_x.square() + mean_y.square()
        covariance, variances = xy - both, xx + yy - squares
        similarity = (2 * both + _C1) * (2 * covariance + _C2)
        similarity = similarity / ((squares + _C1) * (variances + _C2))
        return (1 - similarity.mean()) / 2

    def _blur(self, x: Tensor) -> Tensor:
        """Columns and rows after one another, which is the window for a tenth of the work."""
        window, half = self.window.to(x.dtype), len(self.window) // 2
        x = F.conv2d(x, window[None, None, :, None], padding=(half, 0))
        return F.conv2d(x, window[None, None, None], padding=(0, half))


class GradientSupervision(nn.Module):
    """Cross-entropy of the gradients that stages 2, 3 and 4 see with those of the image.

    What a stage should see is the image's Laplacian times the stage's own mask logits, through a
    sigmoid. As the authors have it, the gradient of this loss flows through that target as well.
    """

    def forward(self, output: Output, batch: Batch) -> Tensor:
        laplacian = at_least_fp32(output.features["laplacian"])
        losses = []
        with without_autocast(laplacian):
            for name, mask in zip(
                ("gradients2", "gradients3", "gradients4"), output.masks[1:], strict=True
            ):
                seen = resize_corners(at_least_fp32(output.features[name]), laplacian)
                target = laplacian * resize_corners(at_least_fp32(mask), laplacian)
                losses.append(
                    F.binary_cross_entropy_with_logits(seen, target.sigmoid(), reduction="mean")
                )
        return torch.stack(losses).sum()
