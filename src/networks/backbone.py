"""Backbones: a timm name becomes five maps at strides 4, 4, 8, 16 and 32, finest first.

The one place that knows timm's layouts (NCHW or NHWC, four stages or five, a stem or none).
"""

from abc import ABC, abstractmethod
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

import timm
from timm.models.eva import Eva
from timm.models.resnet import ResNet
from timm.models.swin_transformer import SwinTransformer, checkpoint_filter_fn
from torch import Tensor, nn

from src.networks.activation_checkpointing import Checkpointable, checkpoint_activations
from src.networks.blocks import resize_corners
from src.networks.swin_windows import shifted_window_mask, swin_block
from src.weights.checkpoint import read_checkpoint

REDUCTIONS = (4, 4, 8, 16, 32)

# Blocks whose maps are taken, by the number of blocks, and the widths that they are brought to.
_PLAIN_BLOCKS = {
    12: (3, 5, 7, 11),
    24: (5, 11, 17, 23),
    32: (7, 15, 23, 31),
    40: (9, 19, 29, 39),
}
_PLAIN_WIDTHS = (192, 384, 768, 1536)

# Short names, and what the papers call the backbone.
_ALIASES = {
    "res2net50": "res2net50d",
    "swinb": "swin_base_patch4_window12_384",
    "swin_tiny": "swin_tiny_patch4_window7_224",
    "swin_large": "swin_large_patch4_window12_384",
}


class Backbone(Checkpointable, ABC):
    """Turns images `(B, 3, H, W)` into five NCHW maps.

    channels: Of each map.
    reductions: How many pixels of the image a step of each map spans; sizes are rounded up or
        down as the architecture does.
    """

    channels: tuple[int, ...]
    reductions: tuple[int, ...] = REDUCTIONS

    @abstractmethod
    def forward(self, image: Tensor) -> list[Tensor]:
        """The five maps, the finest first."""

    def to_upstream_key(self, name: str) -> str:
        """The key that the authors of InSPyReNet gave the entry `name` of our state."""
        return name

    def upstream_buffers(self) -> dict[str, Tensor]:
        """Entries of the authors' checkpoints that are computed, not learned, by their key."""
        return {}


class ResNetBackbone(Backbone):
    """ResNet and its kin. The first map is the stem's after max-pooling."""

    layer1: nn.Sequential
    layer2: nn.Sequential
    layer3: nn.Sequential
    layer4: nn.Sequential

    def __init__(self, resnet: Any) -> None:
        super().__init__()
        self.conv1, self.bn1, self.act1 = resnet.conv1, resnet.bn1, resnet.act1
        self.maxpool = resnet.maxpool
        self.layer1, self.layer2 = resnet.layer1, resnet.layer2
        self.layer3, self.layer4 = resnet.layer3, resnet.layer4
        self.channels = tuple(info["num_chs"] for info in resnet.feature_info)

    def forward(self, image: Tensor) -> list[Tensor]:
        x = self.maxpool(self.act1(self.bn1(self.conv1(image))))
        features = [x]
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            for block in layer:
                x = block(x)
            features.append(x)
        return features


class SwinBackbone(Backbone):
    """Swin Transformer for any image size (Liu et al., ICCV 2021, as used for detection).

    The first map is the patch embedding; each stage's map has a LayerNorm of its own. Windows are
    always shifted and masked, also where the map is not larger than one window.
    """

    layers: nn.Sequential
    checkpointing = False

    def __init__(self, swin: Any) -> None:
        super().__init__()
        widths = [info["num_chs"] for info in swin.feature_info]
        self.patch_embed = swin.patch_embed
        self.layers = swin.layers
        self.norms = nn.ModuleList(nn.LayerNorm(width) for width in widths)
        self.channels = (widths[0], *widths)
        for stage in swin.layers:
            for block in stage.blocks:
                block.attn.fused_attn = True  # scaled_dot_product_attention; timm's default is not

    def forward(self, image: Tensor) -> list[Tensor]:
        x = self.patch_embed(image)
        maps = [x]
        for stage, norm in zip(self.layers, self.norms, strict=True):
            x = self._stage(stage, x)
            maps.append(norm(x))
        return [x.permute(0, 3, 1, 2) for x in maps]

    def _stage(self, stage: Any, x: Tensor) -> Tensor:
        x, blocks = stage.downsample(x), list(stage.blocks)
        mask = shifted_window_mask(x, blocks[-1].window_size, blocks[-1].shift_size)
        for block in blocks:
            if self.checkpointing and self.training:
                x = checkpoint_activations(block, block, x, mask, run=swin_block)
            else:
                x = swin_block(block, x, mask)
        return x

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        self.checkpointing = enable  # blocks are not called but run by `swin_block`

    def to_upstream_key(self, name: str) -> str:
        """timm opens a stage with the patch merging, the authors close the one before with it."""
        parts = name.split(".")
        if parts[0] == "norms":
            return f"norm{parts[1]}.{parts[2]}"
        if parts[2:3] == ["downsample"]:
            parts[1] = str(int(parts[1]) - 1)
        return ".".join(parts)

    def upstream_buffers(self) -> dict[str, Tensor]:
        return {
            name: buffer.clone()
            for name, buffer in self.named_buffers()
            if name.endswith("relative_position_index")
        }


class StageBackbone(Backbone):
    """Any other timm network with stages at strides 4, 8, 16 and 32.

    They have no stem map at stride 4, so that the first two maps are the same one. Blocks are
    checkpointed by `checkpoint_blocks`: in timm's own way a BatchNorm counts each batch twice.
    """

    body: Any

    def __init__(self, network: Any, name: str) -> None:
        super().__init__()
        info = list(getattr(network, "feature_info", []))
        strides = [stage["reduction"] for stage in info]
        if not hasattr(network, "forward_intermediates") or not set(REDUCTIONS) <= set(strides):
            _unsuitable(name, f"has maps at strides {sorted(set(strides))}, not 4, 8, 16 and 32")
        if network.pretrained_cfg.get("fixed_input_size"):
            _unsuitable(name, "takes images of one size only")
        last = {stride: index for index, stride in enumerate(strides)}
        self.indices = [last[stride] for stride in REDUCTIONS[1:]]
        widths = [info[index]["num_chs"] for index in self.indices]
        self.channels = (widths[0], *widths)
        # What lies behind the last map would never get a gradient.
        network.prune_intermediate_layers(self.indices, prune_norm=True, prune_head=True)
        self.body = network

    def forward(self, image: Tensor) -> list[Tensor]:
        maps = self.body.forward_intermediates(
            image, indices=self.indices, norm=False, intermediates_only=True
        )
        return [maps[0], *maps]


class PlainBackbone(Backbone):
    """DINOv3's transformers (Siméoni et al., 2025), whose maps all have stride 16.

    The maps of four blocks become a pyramid of Swin-L's widths by a 1×1 convolution each, and are
    resized to strides 4 to 32, as BiRefNet makes use of them; the places of these convolutions are
    our own, no weights of theirs are released. Sides of the image are multiples of 16.
    """

    body: Any

    def __init__(self, network: Any, name: str) -> None:
        super().__init__()
        depth = len(network.blocks)
        if depth not in _PLAIN_BLOCKS:
            _unsuitable(name, f"has {depth} blocks, as none of DINOv3's")
        self.indices = list(_PLAIN_BLOCKS[depth])
        self.channels = (_PLAIN_WIDTHS[0], *_PLAIN_WIDTHS)
        network.prune_intermediate_layers(self.indices, prune_norm=True, prune_head=True)
        self.body = network
        self.necks = nn.ModuleList(nn.Conv2d(network.embed_dim, w, 1) for w in _PLAIN_WIDTHS)

    def forward(self, image: Tensor) -> list[Tensor]:
        maps = self.body.forward_intermediates(
            image, indices=self.indices, norm=False, intermediates_only=True
        )
        height, width = image.shape[2:]
        # Convolving before resizing gives the same, of fewer pixels.
        maps = [
            resize_corners(neck(x), (height // stride, width // stride))
            for neck, x, stride in zip(self.necks, maps, REDUCTIONS[1:], strict=True)
        ]
        return [maps[0], *maps]


def build_backbone(name: str, pretrained: bool | str | Path = False) -> Backbone:
    """A backbone by its timm name, or `res2net50` and `swinb` as in InSPyReNet.

    Args:
        pretrained: ImageNet weights: True lets timm download them, a path names a file in timm's
            or in the original authors' layout (`.pth` or `.safetensors`).
    """
    network = _timm_network(_ALIASES.get(name, name), pretrained)
    if isinstance(network, ResNet):
        if name == "res2net50":
            _dilate_res2net(network)
        return ResNetBackbone(network)
    if isinstance(network, SwinTransformer):
        return SwinBackbone(network)
    if isinstance(network, Eva) and "dinov3" in name:
        return PlainBackbone(network, name)
    return StageBackbone(network, name)


def _unsuitable(name: str, reason: str) -> NoReturn:
    raise ValueError(
        f"backbone {name!r} {reason}; choose a ResNet, Res2Net, Swin, ConvNeXt, PVT-v2 or DINOv3"
    )


def _timm_network(name: str, pretrained: bool | str | Path) -> nn.Module:
    if not timm.is_model(name):
        close = get_close_matches(name, [*_ALIASES, *timm.list_models()], n=4)
        raise ValueError(f"timm has no backbone {name!r}; similar names: {', '.join(close) or '-'}")
    arguments: dict[str, Any] = {}
    if name.startswith("swin_"):
        # Any size; the drop path is InSPyReNet's.
        arguments = {"always_partition": True, "strict_img_size": False, "drop_path_rate": 0.2}
    elif name.startswith("pvt_v2_"):
        arguments = {"drop_path_rate": 0.1}  # BiRefNet's
    elif name.startswith("vit_") and "dinov3" in name:
        arguments = {"dynamic_img_size": True}
    if isinstance(pretrained, bool):
        try:
            return timm.create_model(name, pretrained=pretrained, **arguments)
        except (OSError, RuntimeError) as error:
            if not pretrained:
                raise
            raise RuntimeError(
                f"timm could not load ImageNet weights of {name!r} ({error}); "
                "without a network, give a local file: pretrained=PATH"
            ) from error
    network = timm.create_model(name, **arguments)
    _load_file(network, name, Path(pretrained).expanduser())
    return network


def _load_file(network: nn.Module, name: str, path: Path) -> None:
    state = dict(read_checkpoint(path).state)
    if isinstance(network, SwinTransformer):
        state = checkpoint_filter_fn(state, network)  # original files close stages, see above
    own = network.state_dict()
    classifier = tuple(f"{part}." for part in _classifiers(network))
    body = {key for key in own if not key.startswith(classifier)}
    body = {key for key in body if not key.endswith("num_batches_tracked")}
    missing = sorted(body - state.keys())
    misshapen = [key for key in sorted(body & state.keys()) if own[key].shape != state[key].shape]
    if missing or misshapen:
        raise ValueError(
            f"{path} does not hold weights of backbone {name!r}: {len(missing)} entries missing "
            f"{missing[:3]}, {len(misshapen)} of another shape {misshapen[:3]}"
        )
    network.load_state_dict({key: state[key] for key in own if key in body}, strict=False)


def _classifiers(network: Any) -> tuple[str, ...]:
    names = network.pretrained_cfg.get("classifier") or ()
    return (names,) if isinstance(names, str) else tuple(names)


def _dilate_res2net(resnet: Any) -> None:
    """Widen the 3×3 convolutions of the last two stages, strides unchanged, as InSPyReNet does."""
    for layer, dilations in ((resnet.layer3, [2] * 6), (resnet.layer4, [4, 8, 16])):
        for block, dilation in zip(layer, dilations, strict=True):
            for conv in block.convs:
                conv.dilation = conv.padding = (dilation, dilation)
