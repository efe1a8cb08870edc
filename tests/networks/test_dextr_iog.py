"""DEXTR and IOG equal their authors' networks through the official names, and can be trained."""

import copy

import pytest
import torch
from torch import Tensor, nn

from src.networks.dextr import DEXTR
from src.networks.iog import IOG, MAPS, IOGRefine
from src.networks.resnet import create_dextr_resnet, create_iog_resnet, create_resnet
from src.weights.loading import load_official, to_official
from tests.golden_data import (
    arrays,
    assert_golden,
    needs_shared,
    official_keys,
    official_state,
    uniform,
)

DEXTR_ITEM, IOG_ITEM, REFINE_ITEM = (
    "07_dextr_resnet101_{}",
    "08_iog_mainnetwork",
    "09_iog_refinementnetwork",
)
PARAMETERS = {
    "psp": (DEXTR, {"head": "psp"}, 48_800_385),
    "atrous": (DEXTR, {"head": "atrous"}, 42_577_028),
    "iog": (IOG, {}, 52_058_058),
    "iog_refine": (IOGRefine, {}, 53_367_498),
}
SMALL = {
    "psp": lambda: DEXTR("resnet18"),
    "atrous": lambda: DEXTR("resnet18", head="atrous"),
    "iog": lambda: IOG("resnet18"),
    "iog_refine": lambda: IOGRefine("resnet18"),
}


def small(name: str) -> nn.Module:
    torch.manual_seed(0)
    return SMALL[name]()


def channels(network: nn.Module) -> int:
    return 4 if isinstance(network, DEXTR) else 5


def clicked(network: nn.Module, *size: int, batch: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return 255 * torch.rand((batch, channels(network), *size), generator=generator)


@needs_shared
@pytest.mark.parametrize("head", ["psp", "atrous"])
def test_dextr_equals_the_authors_network(head: str) -> None:
    item = DEXTR_ITEM.format(head)
    network = DEXTR(head=head).eval()
    report = load_official(network, official_state(item))
    assert not report.missing
    assert not report.unexpected

    with torch.inference_mode():
        output = network(255 * uniform("input", (2, 4, 128, 160)))

    for name, feature in output.features.items():
        assert_golden(item, name, feature)
    assert_golden(item, "logits_up", output.masks[0])
    assert_exports(network, item)


@needs_shared
@pytest.mark.slow
def test_iog_equals_the_authors_network() -> None:
    network = IOG().eval()
    load_official(network, official_state(IOG_ITEM))
    with torch.inference_mode():
        output = network(255 * uniform("input", (1, 5, 512, 512)))
    for name, mask in zip(MAPS, output.masks, strict=True):
        assert_golden(IOG_ITEM, name, mask)
    assert_exports(network, IOG_ITEM)


@needs_shared
@pytest.mark.slow
def test_refinement_equals_the_authors_network_with_one_run_of_the_backbone() -> None:
    network = IOGRefine().eval()
    load_official(network, official_state(REFINE_ITEM))
    stored = arrays(REFINE_ITEM)
    points = torch.from_numpy(stored["points_map"])
    image = 255 * uniform("input", (1, 3, 512, 512))
    target = torch.from_numpy(stored["gt"]) > 0
    with torch.inference_mode():
        features = network.encode(torch.cat([image, points], dim=1))
        for i in range(3):
            output = network.decode(features, points)
            for name in MAPS:
                assert_golden(REFINE_ITEM, f"it{i}_{name}", output.features[name])
            predicted = output.masks[0][0, 0] > 0
            overlap = (predicted & target).sum() / (predicted | target).sum()
            assert overlap.item() == pytest.approx(stored[f"it{i}_iou"].item(), rel=1e-5)
            points = torch.from_numpy(stored[f"clickmap_after_it{i}"]).float()
    assert_exports(network, REFINE_ITEM)


def assert_exports(network: nn.Module, item: str) -> None:
    exported = to_official(network)
    expected = {key: shape for key, (shape, _) in official_keys(item).items()}
    assert {key: tuple(value.shape) for key, value in exported.items()} == expected
    again = copy.deepcopy(network)
    for value in again.state_dict().values():
        value.zero_()
    load_official(again, exported)
    ours, theirs = network.state_dict(), again.state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_counts_of_the_docstrings(name: str) -> None:
    build, arguments, count = PARAMETERS[name]
    with torch.device("meta"):
        network = build(**arguments)
    assert sum(p.numel() for p in network.parameters()) == count
    assert f"{count / 1e6:.1f} M" in (build.__doc__ or "")


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("size", [(64, 64), (96, 160), (75, 101)])
def test_masks_have_the_size_of_the_input(name: str, size: tuple[int, int]) -> None:
    network = small(name).eval()
    with torch.inference_mode():
        output = network(clicked(network, *size))
    count = 1 if name in ("psp", "atrous") else 5
    assert [mask.shape for mask in output.masks] == [(2, 1, *size)] * count
    quarter = tuple(-(-side // 4) for side in size)
    assert output.features["layer1"].shape[2:] == quarter
    if count == 5:
        assert list(output.features)[4:] == list(MAPS)
        assert {output.features[key].shape[2:] for key in MAPS} == {quarter}


@pytest.mark.parametrize("name", SMALL)
def test_gradients_reach_every_parameter_that_learns_and_no_other(name: str) -> None:
    network = small(name).train()
    output = network(clicked(network, 64, 64))
    sum(mask.square().mean() for mask in output.masks).backward()
    for key, parameter in network.named_parameters():
        reached = parameter.grad is not None and parameter.grad.abs().sum() > 0
        assert reached == parameter.requires_grad, key


def test_dextr_freezes_the_backbones_norms_alone() -> None:
    network = small("psp")
    norms = {n: m for n, m in network.named_modules() if isinstance(m, nn.BatchNorm2d)}
    frozen = {n for n, m in norms.items() if not any(p.requires_grad for p in m.parameters())}
    assert frozen == {n for n in norms if n.startswith("backbone.")}
    before = network.backbone.bn1.running_mean.clone()
    network.train()(clicked(network, 64, 64))
    assert not torch.equal(network.backbone.bn1.running_mean, before)
    assert all(p.requires_grad for p in small("iog").parameters())


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_dextrs_strides_and_dilations(name: str) -> None:
    resnet = create_dextr_resnet(name, 4)
    for block, stride in ((resnet.layer2[0], 2), (resnet.layer3[0], 1), (resnet.layer4[0], 1)):
        assert block.conv1.stride == block.downsample[0].stride == (stride, stride)
        assert block.conv2.stride == (1, 1)
    assert {b.conv2.dilation for b in resnet.layer3} == {(2, 2)}
    assert {b.conv2.dilation for b in resnet.layer4} == {(4, 4)}


def test_iogs_strides_and_dilations() -> None:
    resnet = create_iog_resnet("resnet50", 5)
    assert [layer[0].conv2.stride[0] for layer in (resnet.layer2, resnet.layer3)] == [2, 2]
    assert [block.conv2.dilation[0] for block in resnet.layer3] == [1] * 6
    assert [block.conv2.dilation[0] for block in resnet.layer4] == [2, 4, 8]


def test_the_image_keeps_the_weights_it_was_pretrained_with(tmp_path) -> None:  # type: ignore[no-untyped-def]
    pretrained = create_resnet("resnet18")
    torch.save(pretrained.state_dict(), tmp_path / "resnet18.pth")
    widened = create_resnet("resnet18", 5, tmp_path / "resnet18.pth")
    assert torch.equal(widened.conv1.weight[:, :3], pretrained.conv1.weight)
    assert widened.conv1.weight[:, 3:].abs().min() > 0
    assert torch.equal(widened.layer4[0].conv1.weight, pretrained.layer4[0].conv1.weight)


@pytest.mark.parametrize("name", ["resnet18d", "convnext_base"])
def test_a_backbone_that_cannot_be_edited_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"choose of resnet18, .*resnet101"):
        DEXTR(name)


def test_an_unknown_head_is_refused() -> None:
    with pytest.raises(ValueError, match="psp, atrous"):
        DEXTR("resnet18", head="unet")  # type: ignore[arg-type]


def test_further_clicks_leave_the_backbone_alone() -> None:
    network = small("iog_refine").eval()
    runs = []
    network.image_backbone.register_forward_hook(lambda *_: runs.append(1))
    x = clicked(network, 64, 64)
    with torch.inference_mode():
        features = network.encode(x)
        first = network.decode(features, x[:, 3:])
        other = network.decode(features, torch.zeros_like(x[:, 3:]))
        assert len(runs) == 1
        assert torch.equal(first.masks[0], network(x).masks[0])
    assert not torch.equal(first.masks[0], other.masks[0])


@pytest.mark.parametrize("name", ["psp", "iog", "iog_refine"])
def test_checkpointing_changes_nothing_but_memory(name: str) -> None:
    results = []
    for enable in (False, True):
        network = small(name).train()
        network.set_grad_checkpointing(enable)
        output = network(clicked(network, 64, 64))
        sum(mask.square().mean() for mask in output.masks).backward()
        gradients = [p.grad for p in network.parameters() if p.requires_grad]
        results.append((output.masks, gradients, list(network.buffers())))
    for plain, checkpointed in zip(*results, strict=True):
        for a, b in zip(plain, checkpointed, strict=True):
            torch.testing.assert_close(a, b)


@pytest.mark.parametrize("name", ["psp", "iog_refine"])
def test_bf16_stays_near_fp32(name: str) -> None:
    """Within 3 % of the logits' range, on random weights."""
    network = small(name).eval()
    x = clicked(network, 128, 128)
    with torch.inference_mode():
        exact = network(x).masks[0]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = network(x).masks[0]
    assert (rough.float() - exact).abs().max() < 0.03 * (exact.max() - exact.min())


@pytest.mark.slow
def test_forward_is_one_graph() -> None:
    network = small("iog").eval()
    x = clicked(network, 64, 64)
    torch._dynamo.reset()
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    with torch.inference_mode():
        torch.testing.assert_close(compiled(x).masks[0], network(x).masks[0])
