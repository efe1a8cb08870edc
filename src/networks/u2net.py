"""U²-Net and U²-Net-p (Qin et al., Pattern Recognition 2020, "U²-Net: Going deeper …")."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from src.networks.isnet import named_stages, side_heads, side_outputs, upstream_stage_key
from src.networks.network import Output
from src.networks.rsu import RSUNetwork, rsu


class Stage(NamedTuple):
    """Channels of a residual U-block and its height; no height for the dilated one."""

    in_channels: int
    mid_channels: int
    out_channels: int
    height: int | None


FULL_ENCODER = (
    Stage(3, 32, 64, 7),
    Stage(64, 32, 128, 6),
    Stage(128, 64, 256, 5),
    Stage(256, 128, 512, 4),
    Stage(512, 256, 512, None),
    Stage(512, 256, 512, None),
)
FULL_DECODER = (
    Stage(128, 16, 64, 7),
    Stage(256, 32, 64, 6),
    Stage(512, 64, 128, 5),
    Stage(1024, 128, 256, 4),
    Stage(1024, 256, 512, None),
)
SMALL_ENCODER = (
    Stage(3, 16, 64, 7),
    Stage(64, 16, 64, 6),
    Stage(64, 16, 64, 5),
    Stage(64, 16, 64, 4),
    Stage(64, 16, 64, None),
    Stage(64, 16, 64, None),
)
SMALL_DECODER = (
    Stage(128, 16, 64, 7),
    Stage(128, 16, 64, 6),
    Stage(128, 16, 64, 5),
    Stage(128, 16, 64, 4),
    Stage(128, 16, 64, None),
)


class U2Net(RSUNetwork):
    """Six-stage U-Net of residual U-blocks; its prediction fuses six side outputs (figure 5).

    44.0 M parameters, 1.1 M with `small`. `masks` holds the fused map and then the six side
    outputs; `features` the six maps that feed them, `stage1` the finest.

    Args:
        small: U²-Net-p, every stage 16 channels inside and 64 outside.
        in_channels: Channels of the input; more than 3 for an image joined with prompts.
    """

    title = "U²-Net"
    paper = "Qin et al., U²-Net, Pattern Recognition 2020"
    limits = (
        "Sees the whole image at the input size: what is thinner than a pixel there is lost.",
    )

    def __init__(self, small: bool = False, in_channels: int = 3) -> None:
        super().__init__()
        encoder = SMALL_ENCODER if small else FULL_ENCODER
        decoder = SMALL_DECODER if small else FULL_DECODER
        first = encoder[0]._replace(in_channels=in_channels)
        self.encoder = nn.ModuleList(rsu(*stage) for stage in (first, *encoder[1:]))
        self.decoder = nn.ModuleList(rsu(*stage) for stage in decoder)
        self.heads = side_heads([s.out_channels for s in (*decoder, encoder[-1])])
        self.fuse = nn.Conv2d(6, 1, 1)

    def forward(self, x: Tensor) -> Output:
        maps = self.decode_stages(self.decoder, self.encode_stages(self.encoder, x))
        sides = side_outputs(self.heads, maps, like=x)
        return Output([self.fuse(torch.cat(sides, dim=1)), *sides], named_stages(maps))

    def to_upstream_key(self, name: str) -> str:
        if name.startswith("fuse."):
            return name.replace("fuse.", "outconv.")
        return upstream_stage_key(self, name)
