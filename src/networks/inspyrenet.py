"""InSPyReNet (Kim et al., ACCV 2022, https://arxiv.org/abs/2209.09475)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from src.networks.activation_checkpointing import checkpoint_activations
from src.networks.attention import AxialDecoder, AxialEncoder, ScaleInvariantAttention
from src.networks.backbone import build_backbone
from src.networks.blocks import at_least_fp32, resize
from src.networks.network import Output
from src.networks.pyramid import ImagePyramid, transition_map
from src.networks.upstream_names import BackboneNetwork, Replacement, numbered

# Every level of the pyramid halves the size three times, from the input to the coarsest map.
_MULTIPLE = 8
_SMALLEST = 32
_ELLIPSES = (17, 9, 5)  # of the transition maps for levels 0, 1, 2


class Levels(NamedTuple):
    """What the decoder makes of one image, finest first: 4 maps of logits, 3 Laplacians."""

    masks: list[Tensor]
    laplacians: list[Tensor]


_UPSTREAM_NAMES: tuple[tuple[str, Replacement], ...] = (
    (r"^encoders\.(\d)\.", numbered("context{}.", 1)),
    (r"(?<=^context\d\.)pointwise\.", "branch0."),
    (r"(?<=^context\d\.)branches\.(\d)\.", numbered("branch{}.", 1)),
    (r"(?<=\.)squeeze\.", "conv0."),
    (r"(?<=\.)row\.", "conv1."),
    (r"(?<=\.)column\.", "conv2."),
    (r"(?<=\.)dilated\.", "conv3."),
    (r"(?<=^context\d\.)fuse\.", "conv_cat."),
    (r"(?<=^context\d\.)shortcut\.", "conv_res."),
    (r"along_height\.", "Hattn."),
    (r"along_width\.", "Wattn."),
    (r"(?<=attn\.)(query|key|value)\.", r"\1_conv."),
    (r"^decoder\.join\.", "decoder.conv1."),
    (r"(?<=^decoder\.)refine\.(\d)\.", numbered("conv{}.", 2)),
    (r"^decoder\.head\.", "decoder.conv5.conv."),
    (r"^attentions\.(\d)\.", numbered("attention{}.", 0)),
    (r"laplacian_threshold$", "lthreshold"),
    (r"(?<=^attention\d\.)(query|key|value)\.", r"conv_\1."),
    (r"(?<=^attention\d\.)attended\.", "conv_out1."),
    (r"(?<=^attention\d\.)join\.", "conv_out2."),
    (r"(?<=^attention\d\.)refine\.", "conv_out3."),
    (r"(?<=^attention\d\.)head\.", "conv_out4."),
)


class InSPyReNet(BackboneNetwork):
    """Predicts a coarse map and the Laplacian pyramid that sharpens it, scale by scale.

    28.1 M parameters with `res2net50`, 90.7 M with `swinb`. `Output.masks` are d0, d1, d2, d3 at
    strides 1, 2, 4, 8 (sides rounded up); `Output.features` holds the Laplacians `p0`, `p1`, `p2`
    that were added on the way. Gradients do not pass from a map to the coarser one it refines.

    Args:
        backbone: `swinb` and `res2net50` as published, or a timm name, see `backbone.py`.
        depth: Channels of the decoder.
        base_size: One side, or (height, width), at which the network is trained: the attention
            summarizes an image at this size whatever its own.
        pretrained: ImageNet weights of the backbone, from timm or from a file.
    """

    min_side = _SMALLEST
    feature_names = ("p0", "p1", "p2")
    upstream_backbone, upstream_names = "backbone", _UPSTREAM_NAMES
    title = "InSPyReNet"
    paper = (
        "Kim et al., Revisiting Image Pyramid Structure for High Resolution Salient Object "
        "Detection, ACCV 2022"
    )
    limits = (
        "`detail=blended` adds detail from up to 1280 pixels, for several times the time and "
        "memory; made for the weights trained at 384².",
    )

    def __init__(
        self,
        backbone: str = "swinb",
        depth: int = 64,
        base_size: int | Sequence[int] = 384,
        pretrained: bool | str = False,
    ) -> None:
        super().__init__()
        height, width = _checked_pair(base_size)
        if depth < 8 or depth % 8:
            raise ValueError(f"depth is {depth}; it must be a positive multiple of 8 (paper: 64)")
        self.checkpointing = False
        self.backbone = build_backbone(backbone, pretrained)
        self.encoders = nn.ModuleList(AxialEncoder(c, depth) for c in self.backbone.channels)
        self.decoder = AxialDecoder(depth)
        self.attentions = nn.ModuleList(  # finest first; the two finer ones look at a Laplacian
            ScaleInvariantAttention(
                depth if stage == 0 else 2 * depth,
                depth,
                (height // 2**stage, width // 2**stage),
                with_laplacian=stage < 2,
            )
            for stage in range(3)
        )
        self.pyramid = ImagePyramid()

    def forward(self, x: Tensor) -> Output:
        """`x`: `(B, 3, H, W)` of any size from 32 pixels a side."""
        return _output(self._levels(x), x)

    def forward_blended(self, image: Tensor, image_lr: Tensor) -> Output:
        """Sharpen the prediction for a small copy by the details seen at high resolution.

        Section 3.4 of the paper: what is salient is decided on `image_lr`, the size of training;
        details of `image` count only around the edges of what was decided.

        Args:
            image: `(B, 3, H, W)`, the image at high resolution.
            image_lr: `(B, 3, h, w)`, the same at `base_size`.
        """
        if image.shape[0] != image_lr.shape[0]:
            raise ValueError(f"{len(image)} images but {len(image_lr)} small copies of them")
        coarse = _output(self._levels(image_lr), image_lr).masks[0]
        fine = self._levels(image)
        mask = resize(coarse, fine.masks[3])
        masks, laplacians = [mask], list[Tensor]()
        for ellipse, laplacian in zip(reversed(_ELLIPSES), reversed(fine.laplacians), strict=True):
            near_edges = resize(transition_map(mask, ellipse), laplacian)
            laplacians.insert(0, near_edges * laplacian)
            mask = self.pyramid.reconstruct(mask, laplacians[0])
            masks.insert(0, mask)
        return _output(Levels(masks, laplacians), image)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute activations in the backward pass: less memory, the same result, more time."""
        self.checkpointing = enable
        self.backbone.set_grad_checkpointing(enable)

    def _levels(self, image: Tensor) -> Levels:
        image = _pad(image)
        height, width = image.shape[2:]
        maps = self.backbone(image)
        x1, x2, *coarser = (
            self._run(encoder, x) for encoder, x in zip(self.encoders, maps, strict=True)
        )
        features, d3 = self._run(self.decoder, coarser)
        d3 = at_least_fp32(d3)  # as the pyramid's other maps
        features = resize(features, (height // 4, width // 4))
        joined = torch.cat([resize(x2, features), features], dim=1)
        features, p2, d2 = self._refine(2, joined, d3, None)
        features, x1 = (resize(x, (height // 2, width // 2)) for x in (features, x1))
        features, p1, d1 = self._refine(1, torch.cat([x1, features], dim=1), d2, p2)
        features = resize(features, (height, width))
        _, p0, d0 = self._refine(0, features, d1, p1)
        return Levels([d0, d1, d2, d3], [p0, p1, p2])

    def _refine(
        self, stage: int, features: Tensor, mask: Tensor, laplacian: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One step up the pyramid: features, Laplacian and mask of the next finer level."""
        mask = mask.detach()
        laplacian = None if laplacian is None else laplacian.detach()
        features, details = self._run(self.attentions[stage], features, mask, laplacian)
        return features, details, self.pyramid.reconstruct(mask, details)

    def _run(self, module: nn.Module, *inputs: Any) -> Any:
        if self.checkpointing and self.training:
            return checkpoint_activations(module, *inputs)
        return module(*inputs)


def _checked_pair(size: int | Sequence[int]) -> tuple[int, int]:
    pair = (size, size) if isinstance(size, int) else tuple(size)
    if len(pair) != 2 or any(side < _SMALLEST or side % 4 for side in pair):
        raise ValueError(
            f"base_size is {size}; give one side, or [height, width], as multiples of 4 from "
            f"{_SMALLEST} pixels (paper: 384)"
        )
    return pair[0], pair[1]


def _pad(image: Tensor) -> Tensor:
    """Repeat the last row and column until the pyramid's sizes are whole."""
    height, width = image.shape[2:]
    if min(height, width) < _SMALLEST:
        raise ValueError(f"the image is {height}×{width}; InSPyReNet needs {_SMALLEST} pixels")
    if height % _MULTIPLE == 0 and width % _MULTIPLE == 0:
        return image
    return F.pad(image, (0, -width % _MULTIPLE, 0, -height % _MULTIPLE), mode="replicate")


def _output(levels: Levels, image: Tensor) -> Output:
    """Cut off what `_pad` added. A pixel of a level stands for the first of those it spans."""
    height, width = image.shape[2:]
    masks, laplacians = (
        [x[:, :, : -(-height // 2**i), : -(-width // 2**i)] for i, x in enumerate(maps)]
        for maps in levels
    )
    return Output(masks, {f"p{i}": laplacian for i, laplacian in enumerate(laplacians)})
