"""Five maps from any suitable timm network, whatever its layout."""

from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor, nn

from src.networks.backbone import REDUCTIONS, build_backbone
from src.networks.swin_windows import shifted_window_mask
from src.weights.loading import WeightsError

SMALL = ["resnet18", "convnext_atto", "pvt_v2_b0", "efficientnet_b0", "swin_tiny", "regnety_002"]


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("size", [(64, 96), (72, 56)])
def test_five_maps_as_announced(name: str, size: tuple[int, int]) -> None:
    backbone = build_backbone(name).eval()
    with torch.inference_mode():
        maps = backbone(torch.rand(1, 3, *size))

    assert [x.shape[1] for x in maps] == list(backbone.channels)
    for x, reduction in zip(maps, REDUCTIONS, strict=True):
        for side, full in zip(x.shape[2:], size, strict=True):
            assert full // reduction <= side <= -(-full // reduction)


@pytest.mark.parametrize("name", [*SMALL, "vit_tiny_patch16_dinov3_qkvb"])
def test_every_parameter_gets_a_gradient(name: str) -> None:
    backbone = build_backbone(name)
    maps = backbone(torch.rand(2, 3, 64, 64))
    torch.stack([x.square().mean() for x in maps]).sum().backward()
    assert [n for n, p in backbone.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize(
    "name",
    [
        *("resnet50", "convnext_base", "swin_large", "pvt_v2_b2", "pvt_v2_b5"),
        *("convnext_tiny.dinov3_lvd1689m", "vit_large_patch16_dinov3", "vit_7b_patch16_dinov3"),
    ],
)
def test_takes_the_usual_backbones(name: str) -> None:
    # On the meta device a large network costs neither memory nor random numbers.
    with torch.device("meta"):
        backbone = build_backbone(name)
    assert len(backbone.channels) == len(REDUCTIONS)


def test_a_plain_transformers_maps_become_a_pyramid() -> None:
    backbone = build_backbone("vit_tiny_patch16_dinov3_qkvb").eval()
    with torch.inference_mode():
        maps = backbone(torch.rand(1, 3, 64, 96))
    assert [x.shape[1] for x in maps] == [192, 192, 384, 768, 1536]
    assert [x.shape[2:] for x in maps] == [(16, 24), (16, 24), (8, 12), (4, 6), (2, 3)]


def test_names_similar_backbones() -> None:
    with pytest.raises(ValueError, match=r"no backbone 'resnet20'.*resnet"):
        build_backbone("resnet20")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("vit_tiny_patch16_224", "strides"), ("swinv2_tiny_window8_256", "one size")],
)
def test_says_why_a_backbone_is_unsuitable(name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=rf"{name}.*{reason}.*choose a ResNet"):
        build_backbone(name)


def test_res2net_is_dilated_as_published_and_keeps_its_strides() -> None:
    with torch.device("meta"):
        backbone = build_backbone("res2net50")
    convs = {
        name: module
        for name, module in backbone.named_modules()
        if isinstance(module, nn.Conv2d) and ".convs." in name
    }
    dilations = {name: conv.dilation[0] for name, conv in convs.items()}
    assert {v for k, v in dilations.items() if k.startswith(("layer1", "layer2"))} == {1}
    assert {v for k, v in dilations.items() if k.startswith("layer3")} == {2}
    assert [dilations[f"layer4.{i}.convs.0"] for i in range(3)] == [4, 8, 16]
    assert convs["layer4.0.convs.0"].stride == (2, 2)


def test_shifted_window_mask_separates_the_two_ends_of_the_map() -> None:
    mask = shifted_window_mask(torch.zeros(1, 6, 8, 1), window=(4, 4), shift=(2, 2))
    assert mask.shape == (4, 16, 16)  # 8×8 after padding
    assert not mask[0].any()
    # The upper right window: its columns 0, 1 lie before the roll's seam, 2, 3 behind it.
    row = mask[1].view(4, 4, 4, 4)
    assert (row[0, 0, :, :2] == 0).all()
    assert (row[0, 0, :, 2:] == -100).all()


def swin_by_hand(swin: nn.Module, x: Tensor) -> list[Tensor]:
    maps = []
    for stage in swin.layers:
        x = stage(x)
        maps.append(x.permute(0, 3, 1, 2))
    return maps


def test_swin_is_timms_own_where_windows_need_no_padding() -> None:
    torch.manual_seed(0)
    arguments = {"always_partition": True, "strict_img_size": False}
    theirs = timm.create_model("swin_tiny_patch4_window7_224", **arguments).eval()
    ours = build_backbone("swin_tiny").eval()
    state = {k: v for k, v in theirs.state_dict().items() if not k.startswith(("norm.", "head."))}
    ours.load_state_dict(state, strict=False)
    ours.norms = nn.ModuleList(nn.Identity() for _ in ours.norms)
    image = torch.rand(1, 3, 224, 224)

    with torch.inference_mode():
        expected = swin_by_hand(theirs, theirs.patch_embed(image))
        for x, y in zip(ours(image)[1:], expected, strict=True):
            torch.testing.assert_close(x, y, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("wrapped", [False, True])
def test_loads_imagenet_weights_from_a_file(tmp_path: Path, wrapped: bool) -> None:
    state = timm.create_model("resnet18").state_dict()
    path = tmp_path / "resnet18.pth"
    nested = {"state_dict": {f"module.{key}": value for key, value in state.items()}}
    torch.save(nested if wrapped else state, path)

    backbone = build_backbone("resnet18", pretrained=path)

    for key, value in backbone.state_dict().items():
        assert torch.equal(value, state[key]), key


def test_loads_swin_weights_in_their_authors_layout(tmp_path: Path) -> None:
    state = timm.create_model("swin_tiny_patch4_window7_224").state_dict()
    official = {
        k.replace(f"layers.{i + 1}.downsample", f"layers.{i}.downsample"): v
        for k, v in state.items()
        for i in [int(k.split(".")[1]) - 1 if ".downsample." in k else 0]
    }
    assert "layers.0.downsample.norm.weight" in official
    torch.save({"model": official}, tmp_path / "swin.pth")

    backbone = build_backbone("swin_tiny", pretrained=str(tmp_path / "swin.pth"))

    for key, value in backbone.state_dict().items():
        assert key.startswith("norms.") or torch.equal(value, state[key]), key


def test_refuses_weights_of_another_network(tmp_path: Path) -> None:
    path = tmp_path / "resnet10t.pth"
    torch.save(timm.create_model("resnet10t").state_dict(), path)
    with pytest.raises(ValueError, match=r"resnet10t.pth does not hold weights of .*'resnet18'"):
        build_backbone("resnet18", pretrained=path)


def test_refuses_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such checkpoint"):
        build_backbone("resnet18", pretrained=tmp_path / "none.pth")


@pytest.mark.parametrize("name", ["resnet18", "swin_tiny", "convnext_atto"])
def test_checkpointing_changes_neither_gradients_nor_statistics(name: str) -> None:
    states, gradients = [], []
    for enable in (False, True):
        torch.manual_seed(0)
        backbone = build_backbone(name).train()
        backbone.set_grad_checkpointing(enable)
        image = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
        torch.stack([x.square().mean() for x in backbone(image)]).sum().backward()
        gradients.append([p.grad for p in backbone.parameters()])
        states.append(backbone.state_dict())

    for kept, again in zip(*gradients, strict=True):
        torch.testing.assert_close(kept, again)
    for key, value in states[0].items():
        torch.testing.assert_close(value, states[1][key], msg=key)
