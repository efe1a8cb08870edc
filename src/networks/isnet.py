"""IS-Net (Qin et al., ECCV 2022, "Highly accurate dichotomous image segmentation")."""

from torch import Tensor, nn

from src.networks.blocks import resize
from src.networks.network import Output
from src.networks.rsu import RSUNetwork, conv_bn_relu, rsu, upstream_block_key


class ISNet(RSUNetwork):
    """Six-stage U-Net of residual U-blocks with a side output at each stage (section 4.2).

    44.0 M parameters at the paper's width. `features` holds the six maps that feed the side
    outputs, `stage1` the finest.

    Args:
        in_channels: Channels of the input; more than 3 for an image joined with prompts.
        width: Channels of the finest stage, a multiple of 4. The paper uses 64.
    """

    title = "IS-Net"
    paper = "Qin et al., Highly Accurate Dichotomous Image Segmentation, ECCV 2022"
    limits = ("Slow without a GPU: 1024² pixels whatever the image.",)

    def __init__(self, in_channels: int = 3, width: int = 64) -> None:
        super().__init__()
        w = checked_width(width)
        self.stem = nn.Conv2d(in_channels, w, 3, stride=2, padding=1)
        self.encoder = nn.ModuleList(
            [
                rsu(w, w // 2, w, height=7),
                rsu(w, w // 2, 2 * w, height=6),
                rsu(2 * w, w, 4 * w, height=5),
                rsu(4 * w, 2 * w, 8 * w, height=4),
                rsu(8 * w, 4 * w, 8 * w, height=None),
                rsu(8 * w, 4 * w, 8 * w, height=None),
            ]
        )
        self.decoder = nn.ModuleList(  # finest first: decoder[i] meets encoder[i]
            [
                rsu(2 * w, w // 4, w, height=7),
                rsu(4 * w, w // 2, w, height=6),
                rsu(8 * w, w, 2 * w, height=5),
                rsu(16 * w, 2 * w, 4 * w, height=4),
                rsu(16 * w, 4 * w, 8 * w, height=None),
            ]
        )
        self.heads = side_heads([w, w, 2 * w, 4 * w, 8 * w, 8 * w])

    def forward(self, x: Tensor) -> Output:
        maps = self.decode_stages(self.decoder, self.encode_stages(self.encoder, self.stem(x)))
        return Output(side_outputs(self.heads, maps, like=x), named_stages(maps))

    def to_upstream_key(self, name: str) -> str:
        if name.startswith("stem."):
            return name.replace("stem.", "conv_in.")
        return upstream_stage_key(self, name)


class ISNetGTEncoder(RSUNetwork):
    """Reconstructs a mask from itself; its features then teach `ISNet` (section 4.1).

    6.9 M parameters at the paper's width. Takes `(B, 1, H, W)` masks in [0, 1].

    Args:
        width: Channels of the finest stage, as the `ISNet` it teaches.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        w = checked_width(width)
        self.stem = conv_bn_relu(1, w // 4, stride=2)
        self.encoder = nn.ModuleList(
            [
                rsu(w // 4, w // 4, w, height=7),
                rsu(w, w // 4, w, height=6),
                rsu(w, w // 2, 2 * w, height=5),
                rsu(2 * w, w // 2, 4 * w, height=4),
                rsu(4 * w, w, 8 * w, height=None),
                rsu(8 * w, w, 8 * w, height=None),
            ]
        )
        self.heads = side_heads([w, w, 2 * w, 4 * w, 8 * w, 8 * w])

    def forward(self, x: Tensor) -> Output:
        maps = self.encode_stages(self.encoder, self.stem(x))
        return Output(side_outputs(self.heads, maps, like=x), named_stages(maps))

    def to_upstream_key(self, name: str) -> str:
        if name.startswith("stem."):
            _, layer, leaf = name.split(".")
            return f"conv_in.{('conv', 'bn')[int(layer)]}.{leaf}"
        return upstream_stage_key(self, name)


def checked_width(width: int) -> int:
    if width < 4 or width % 4:
        raise ValueError(f"width is {width}; it must be a positive multiple of 4 (the paper's: 64)")
    return width


def side_heads(channels: list[int]) -> nn.ModuleList:
    """One 3×3 convolution to a logit map for each stage."""
    return nn.ModuleList(nn.Conv2d(c, 1, 3, padding=1) for c in channels)


def side_outputs(heads: nn.ModuleList, maps: list[Tensor], like: Tensor) -> list[Tensor]:
    """A logit map of the size of `like` from each stage, finest first."""
    return [resize(head(x), like) for head, x in zip(heads, maps, strict=True)]


def named_stages(maps: list[Tensor]) -> dict[str, Tensor]:
    return {f"stage{i}": x for i, x in enumerate(maps, start=1)}


def upstream_stage_key(network: nn.Module, name: str) -> str:
    """The authors' name of an entry of the encoder, the decoder or the side outputs."""
    group, index, rest = name.split(".", 2)
    number = int(index) + 1
    if group == "heads":
        return f"side{number}.{rest}"
    stage = f"stage{number}" + ("d" if group == "decoder" else "")
    block = network.get_submodule(f"{group}.{index}")
    return f"{stage}.{upstream_block_key(rest, block)}"
