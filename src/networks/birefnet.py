"""BiRefNet (Zheng et al., CAAI Artificial Intelligence Research 2024, arXiv:2401.03407).

A bilateral reference leads the decoder: inwards, the image itself in the channels of each stage;
outwards, a gate that learns where the image's gradients belong to the object's outline.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from src.networks.backbone import build_backbone
from src.networks.blocks import allow_single_values, resize_corners
from src.networks.deformable import DeformableBranch, DeformablePooling
from src.networks.network import Output
from src.networks.upstream_names import BackboneNetwork, Replacement, numbered

log = logging.getLogger(__name__)

PatchOrder = Literal["current", "columns"]
PATCH_ORDERS: tuple[PatchOrder, ...] = ("current", "columns")

_CELLS = (32, 16, 8, 4)  # in a row and in a column of the image, of stages 4, 3, 2 and 1
_INNER = 64  # width inside a decoder block, whatever it takes and gives
_LAPLACIAN = 5
# Channels of the backbone's first convolution, by which the authors' files tell it.
_MODELS_BY_WIDTH = {
    96: "birefnet_lite",
    128: "birefnet model.network.backbone=swinb",
    192: "birefnet",
}


class DecoderBlock(nn.Module):
    """`(B, in, H, W)` to `(B, out, H, W)` through 64 channels, with deformable pooling inside."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(in_channels, _INNER, 3, padding=1)
        self.norm_in = nn.BatchNorm2d(_INNER)
        self.pooling = DeformablePooling(_INNER)
        self.conv_out = nn.Conv2d(_INNER, out_channels, 3, padding=1)
        self.norm_out = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pooling(self.norm_in(self.conv_in(x)).relu())
        return cast(Tensor, self.norm_out(self.conv_out(x)))


class Outward(NamedTuple):
    """What the outward reference makes of a map: its gate in [0, 1] and the gradients' logits."""

    gate: Tensor
    gradients: Tensor


class OutwardReference(nn.Module):
    """Predicts the image's gradients within the object, and from the same features a gate."""

    def __init__(self, channels: int, width: int = 16) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.gradients = nn.Conv2d(width, 1, 1)
        self.gate = nn.Conv2d(width, 1, 1)

    def forward(self, x: Tensor) -> Outward:
        x = self.norm(self.conv(x)).relu()
        return Outward(self.gate(x).sigmoid(), self.gradients(x))


class Stage(nn.Module):
    """Stage 4, 3 or 2 of the decoder: `(p, mask logits, gradients' logits)` of map and image."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.block = DecoderBlock(in_channels, out_channels)
        self.mask = nn.Conv2d(out_channels, 1, 1)
        self.outward = OutwardReference(out_channels)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.block(x)
        # The mask is read before the gate.
        mask, (gate, gradients) = self.mask(x), self.outward(x)
        return x * gate, mask, gradients


_UPSTREAM_NAMES: tuple[tuple[str, Replacement], ...] = (
    (r"^squeeze\.", "squeeze_module.0."),
    (r"^stages\.(\d)\.block\.", numbered("decoder.decoder_block{}.", 4, -1)),
    (r"^last\.", "decoder.decoder_block1."),
    (r"^stages\.(\d)\.mask\.", numbered("decoder.conv_ms_spvn_{}.", 4, -1)),
    (r"^stages\.(\d)\.outward\.conv\.", numbered("decoder.gdt_convs_{}.0.", 4, -1)),
    (r"^stages\.(\d)\.outward\.norm\.", numbered("decoder.gdt_convs_{}.1.", 4, -1)),
    (r"^stages\.(\d)\.outward\.gradients\.", numbered("decoder.gdt_convs_pred_{}.0.", 4, -1)),
    (r"^stages\.(\d)\.outward\.gate\.", numbered("decoder.gdt_convs_attn_{}.0.", 4, -1)),
    (r"^patches\.(\d)\.0\.", numbered("decoder.ipt_blk{}.conv1.", 5, -1)),
    (r"^patches\.(\d)\.1\.", numbered("decoder.ipt_blk{}.conv_out.", 5, -1)),
    (r"^laterals\.(\d)\.", numbered("decoder.lateral_block{}.conv.", 4, -1)),
    (r"^head\.", "decoder.conv_out1.0."),
    (r"\.norm_(in|out)\.", r".bn_\1."),
    (r"\.pooling\.join\.", ".dec_att.conv1."),
    (r"\.pooling\.norm\.", ".dec_att.bn1."),
    (r"\.pooling\.mean\.", ".dec_att.global_avg_pool."),
    (r"\.pooling\.branches\.0\.", ".dec_att.aspp1."),
    (r"\.pooling\.branches\.(\d)\.", numbered(".dec_att.aspp_deforms.{}.", -1)),
    (r"(?<=\.aspp1\.)norm\.|(?<=\.aspp_deforms\.\d\.)norm\.", "bn."),
    (r"\.conv\.offset\.", ".atrous_conv.offset_conv."),
    (r"\.conv\.modulation\.", ".atrous_conv.modulator_conv."),
    (r"\.conv\.conv\.", ".atrous_conv.regular_conv."),
)


class BiRefNet(BackboneNetwork):
    """220.2 M parameters with Swin-L, 44.3 M with Swin-T. Sides are multiples of 32.

    `masks` holds the prediction at the image's size, then those of stages 2, 3 and 4 at strides 8,
    16 and 32. `features` hold the logits of the gradients that each stage sees (`gradients2` the
    finest) and `laplacian`, the image's own, `(B, 1, H, W)`, which their loss is made of.

    Args:
        backbone: A timm name; `swin_large` and `swin_tiny` are the released ones.
        pretrained: ImageNet weights of the backbone, from timm or from a file.
        patch_order: How the image's cells are put into channels. Weights that were trained before
            November 2024 want `columns`; either loads into either, so that nothing but the origin
            of a file tells which one it is. Files that are known to be of the other order are
            converted when they are loaded.
    """

    min_side = 32
    side_multiple = 32
    feature_names = ("gradients2", "gradients3", "gradients4", "laplacian")
    upstream_backbone, upstream_names = "bb", _UPSTREAM_NAMES
    title = "BiRefNet"
    paper = (
        "Zheng et al., Bilateral Reference for High-Resolution Dichotomous Image Segmentation, "
        "CAAI Artificial Intelligence Research 2024"
    )
    limits = (
        "Slow and large without a GPU: 1024² pixels whatever the image, seen twice.",
        "Made for the size it was trained at; at half of it much is lost.",
    )

    def __init__(
        self,
        backbone: str = "swin_large",
        pretrained: bool | str = False,
        patch_order: PatchOrder = "current",
    ) -> None:
        super().__init__()
        if patch_order not in PATCH_ORDERS:
            raise ValueError(f"patch_order is {patch_order!r}; choose {' or '.join(PATCH_ORDERS)}")
        self.patch_order = patch_order
        self.backbone = build_backbone(backbone, pretrained)
        c1, c2, c3, c4 = (2 * width for width in self.backbone.channels[1:])
        # Widths of what stages 4, 3, 2 and 1 give, and of the image's channels beside each.
        given = (c3, c2, c1, c1 // 2)
        beside = (c1, c1, c1 // 2, c1 // 4)
        self.squeeze = DecoderBlock(c1 + c2 + c3 + c4, c4)
        self.patches = nn.ModuleList(
            _patch_convs(3 * cells * cells, width)
            for cells, width in zip((*_CELLS, 1), (*beside, c1 // 8), strict=True)
        )
        taken = [wide + more for wide, more in zip((c4, *given), beside, strict=False)]
        self.stages = nn.ModuleList(Stage(taken[i], given[i]) for i in range(3))
        self.last = DecoderBlock(taken[3], given[3])
        self.laterals = nn.ModuleList(nn.Conv2d(width, width, 1) for width in given[:3])
        self.head = nn.Conv2d(given[3] + c1 // 8, 1, 1)
        kernel = torch.ones(_LAPLACIAN, _LAPLACIAN)
        kernel[_LAPLACIAN // 2, _LAPLACIAN // 2] -= kernel.numel()
        self.register_buffer("laplacian", kernel[None, None] / kernel.abs().sum(), persistent=False)
        allow_single_values(self)  # the mean over the map has one value a channel at batch 1

    def forward(self, x: Tensor) -> Output:
        """`x`: `(B, 3, H, W)`, both sides multiples of 32."""
        self.check_size(*x.shape[2:])
        *finer, coarsest = self._encode(x)
        p = self.squeeze(coarsest)
        masks, gradients = list[Tensor](), list[Tensor]()
        for i, stage in enumerate(self.stages):
            p, mask, gradient = stage(torch.cat([p, self._patches(i, x)], dim=1))
            masks.insert(0, mask)
            gradients.insert(0, gradient)
            skipped = finer[-1 - i]
            p = resize_corners(p, skipped) + self.laterals[i](skipped)
        p = resize_corners(self.last(torch.cat([p, self._patches(3, x)], dim=1)), x)
        masks.insert(0, self.head(torch.cat([p, self.patches[4](x)], dim=1)))
        features = dict(zip(self.feature_names, (*gradients, self._laplacian(x)), strict=True))
        return Output(masks, features)

    def _encode(self, x: Tensor) -> list[Tensor]:
        """Maps at strides 4, 8, 16 and 32 of the image and of its half; the last joins all."""
        half = resize_corners(x, (x.shape[2] // 2, x.shape[3] // 2))
        both = zip(self.backbone(x)[1:], self.backbone(half)[1:], strict=True)
        maps = [torch.cat([whole, resize_corners(small, whole)], dim=1) for whole, small in both]
        context = [resize_corners(finer, maps[3]) for finer in maps[:3]]
        return [*maps[:3], torch.cat([*context, maps[3]], dim=1)]

    def _patches(self, stage: int, image: Tensor) -> Tensor:
        side = _CELLS[stage]
        cells = image_patches(image, side, side, self.patch_order)
        return cast(Tensor, self.patches[stage](cells))

    def _laplacian(self, image: Tensor) -> Tensor:
        """The image's second derivative, of the mean of its normalized channels."""
        margin = [_LAPLACIAN // 2] * 4
        gray = F.pad(image.mean(dim=1, keepdim=True), margin, mode="reflect")
        return F.conv2d(gray, self.get_buffer("laplacian").to(gray))

    def explain_misfit(self, state: Mapping[str, Tensor]) -> str | None:
        if not any(key.startswith("decoder.") for key in state):
            return None
        if not any(key.startswith("decoder.ipt_blk5.") for key in state):
            return (
                "is of BiRefNet as it was before May 2024 (as ep480 and DIS_ep580: no ipt_blk5), "
                "which is another network; take one of the later files that `finecut models` lists"
            )
        if "decoder.gdt_convs_4.1.weight" not in state:
            return (
                "was trained with a batch of 1, for which the authors' code leaves out every "
                "BatchNorm: another network; train it again with a batch of 2 or more"
            )
        width = state.get("bb.patch_embed.proj.weight", torch.empty(0)).shape[0]
        model = _MODELS_BY_WIDTH.get(width)
        if model is not None and width != self.backbone.channels[0]:
            return f"is BiRefNet on another backbone; its weights are those of model={model}"
        return None

    def convert_weights(
        self, state: dict[str, Tensor], made_with: Mapping[str, Any], source: str
    ) -> dict[str, Tensor]:
        """Bring the patch channels of a file of the other order into that of this network."""
        order = made_with.get("patch_order")
        if order is None and self.patch_order == "current":  # `columns` is nobody's default
            log.warning(
                "%s is read with patch_order=current; nothing in it tells the order, and masks are "
                "almost right with the other: weights trained with the authors' code of before "
                "November 2024 want model.network.patch_order=columns",
                source,
            )
        if order in (None, self.patch_order):
            return state
        log.info("%s: patch channels go from order %s to %s", source, order, self.patch_order)
        weights = (f"patches.{i}.0.weight" for i in range(len(_CELLS)))
        for cells, name in zip(_CELLS, weights, strict=True):
            if name in state:  # some, where only a part is loaded
                state[name] = _reordered(state[name], cells, to=self.patch_order)
        return state

    def commuting_norms(self) -> Iterable[tuple[nn.Module, nn.Module]]:
        """Those of the deformable convolutions, which are called by function."""
        branches = (part for part in self.modules() if isinstance(part, DeformableBranch))
        return ((branch.conv.conv, branch.norm) for branch in branches)


def image_patches(image: Tensor, rows: int, columns: int, order: PatchOrder = "current") -> Tensor:
    """Cut an image into a grid of cells, which become channels.

    A pixel of the result holds one pixel of each cell, not of its own surroundings.

    Args:
        image: `(B, C, H, W)`, its sides multiples of the grid's.
        rows: Of cells.
        columns: Of cells.
        order: `current` counts channels by color, then the cell's row, then its column; `columns`
            by the cell's column, then its row, then color.

    Returns:
        `(B, C · rows · columns, H / rows, W / columns)`.
    """
    batch, channels, height, width = image.shape
    tall, wide = height // rows, width // columns
    grid = image.reshape(batch, channels, rows, tall, columns, wide)
    axes = (0, 1, 2, 4, 3, 5) if order == "current" else (0, 4, 2, 1, 3, 5)
    return grid.permute(axes).reshape(batch, channels * rows * columns, tall, wide)


def _reordered(weight: Tensor, cells: int, to: PatchOrder) -> Tensor:
    """A convolution's `(out, 3 · cells · cells, k, k)` for patch channels of the other order."""
    grid = (cells, cells, 3) if to == "current" else (3, cells, cells)
    parts = weight.unflatten(1, grid)  # by column, row and color, or by color, row and column
    return parts.transpose(1, 3).flatten(1, 3)


def _patch_convs(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, _INNER, 3, padding=1), nn.Conv2d(_INNER, out_channels, 3, padding=1)
    )
