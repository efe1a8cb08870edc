"""BiRefNet equals its authors' network through the official names, and keeps its promises."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from src.losses.birefnet import (
    AbsoluteError,
    GradientSupervision,
    RegionIoU,
    StructuralDissimilarity,
)
from src.losses.terms import BinaryCrossEntropy, DeepSupervision
from src.networks.birefnet import PATCH_ORDERS, BiRefNet, DecoderBlock, image_patches
from src.networks.deformable import DeformableConv, DeformablePooling
from src.weights.checkpoint import WeightsError
from src.weights.loading import build, load_official, to_official
from src.weights.registry import released
from tests.golden_data import (
    arrays,
    assert_golden,
    filled_state,
    imagenet_image,
    manifest,
    needs_shared,
    normal,
    official_keys,
    official_state,
)

ITEMS = {"15_birefnet_swin_t": "birefnet_swin_t", "16_birefnet_swin_l": "birefnet_swin_l"}
PARAMETERS = {"birefnet_swin_t": 44_313_720, "birefnet_swin_l": 220_176_498}
BLOCKS = "20_birefnet_blocks"


def golden_image(item: str, name: str) -> Tensor:
    given: dict[str, Any] = manifest()[item]["inputs"][name]
    return imagenet_image(given["key"], tuple(given["shape"]))


@pytest.fixture(scope="module", params=ITEMS)
def official(request: pytest.FixtureRequest) -> tuple[str, BiRefNet]:
    network = build(ITEMS[request.param])
    load_official(network, official_state(request.param))
    return request.param, network


@pytest.fixture(scope="module")
def small() -> BiRefNet:
    torch.manual_seed(0)
    return BiRefNet("resnet18")


@pytest.mark.slow
@needs_shared
def test_equals_the_authors_network(official: tuple[str, BiRefNet]) -> None:
    item, network = official
    seen: dict[str, Tensor] = {}
    stages: Any = zip((4, 3, 2), network.stages, network.laterals, strict=True)
    hooks = [network.squeeze.register_forward_hook(_keep(seen, "squeeze"))]
    hooks += [network.last.register_forward_hook(_keep(seen, "p1"))]
    for number, stage, lateral in stages:
        hooks += [
            stage.block.register_forward_hook(_keep(seen, f"p{number}")),
            stage.outward.gate.register_forward_hook(_keep(seen, f"attn{number}")),
            lateral.register_forward_hook(_keep(seen, f"lat{number}")),
        ]
    hooks += [
        patches.register_forward_hook(_keep(seen, f"ipt{5 - i}"))
        for i, patches in enumerate(network.patches)
    ]
    stored = manifest()[item]["arrays"]
    for name in ("A", "B"):
        with torch.inference_mode():
            output = network(golden_image(item, name))
        seen["logits"], seen["pred"] = output.masks[0], output.masks[0].sigmoid()
        checked = [key for key in seen if f"{name}_{key}" in stored]
        assert {"logits", "squeeze", "p1"} <= {*checked}
        for key in checked:
            assert_golden(item, f"{name}_{key}", seen[key])
        if name == "A":
            for i, key in enumerate(("logits", "m2", "m3", "m4")):
                assert_golden(item, f"T_{key}", output.masks[i])
            for i in (2, 3, 4):
                assert_golden(item, f"T_gdt_pred{i}", output.features[f"gradients{i}"])
            assert_golden(item, "T_gdt_gt", output.features["laplacian"])
    for hook in hooks:
        hook.remove()


@pytest.mark.slow
@needs_shared
def test_weights_of_before_november_2024_want_the_older_order(
    official: tuple[str, BiRefNet],
) -> None:
    item, network = official
    network.patch_order = "columns"
    try:
        with torch.inference_mode():
            for name in ("A", "B")[: 1 if "swin_l" in item else 2]:
                mask = network(golden_image(item, name)).masks[0]
                assert_golden(item, f"{name}_legacy_logits", mask)
        if "swin_l" in item:
            return
        # What loading makes of such a file is the same network in today's order.
        network.patch_order = "current"
        state = {k: v.clone() for k, v in network.state_dict().items()}
        older = {key: value.clone() for key, value in state.items()}
        made_with = {"patch_order": "columns"}
        network.load_state_dict(network.convert_weights(state, made_with, "a file"))
        with torch.inference_mode():
            assert_golden(item, "A_legacy_logits", network(golden_image(item, "A")).masks[0])
        network.load_state_dict(older)
    finally:
        network.patch_order = "current"


@needs_shared
def test_losses_and_gradients_equal_the_authors() -> None:
    """In double precision: places between pixels have kinks, where rounding moves a gradient."""
    item = "15_birefnet_swin_t"
    stored, spec = arrays(item), manifest()[item]
    network = build("birefnet_swin_t")
    load_official(network, official_state(item))
    network.double()
    batch: Any = {"mask": torch.from_numpy(stored["gt"]).double() / 255}
    output = network(golden_image(item, "A").double())
    criteria = (BinaryCrossEntropy(), RegionIoU(), StructuralDissimilarity(), AbsoluteError())
    terms = []
    for criterion in criteria:
        of_maps = [
            DeepSupervision(criterion, one, "mask")(output, batch) for one in torch.eye(4).tolist()
        ]
        terms.append(torch.stack(of_maps[1:][::-1] + of_maps[:1]))  # coarse to fine, the last one
    found, gradients = torch.stack(terms, dim=1), GradientSupervision()(output, batch)
    np.testing.assert_allclose(found.detach(), stored["loss_terms"], rtol=spec["loss_tol_rtol"])
    assert float(gradients.detach()) == pytest.approx(float(stored["loss_gdt"].sum()), rel=1e-5)
    loss = (found * torch.tensor([30, 0.5, 10, 0])).sum() + gradients
    assert float(loss.detach()) == pytest.approx(spec["loss_fp64"], rel=1e-6)
    loss.backward()
    ours = {network.to_upstream_key(name): p.grad for name, p in network.named_parameters()}
    norms = [float(ours[name].norm()) for name in spec["grad_param_names"]]
    np.testing.assert_allclose(norms, spec["grad_l2_fp64"], rtol=1e-5)


def _keep(seen: dict[str, Tensor], name: str) -> Any:
    return lambda _module, _inputs, output: seen.__setitem__(name, output)


@needs_shared
def test_names_and_shapes_are_those_of_released_files(official: tuple[str, BiRefNet]) -> None:
    item, network = official
    ours = to_official(network)
    assert {key: tuple(value.shape) for key, value in ours.items()} == {
        key: shape for key, (shape, _) in official_keys(item).items()
    }
    assert sum(p.numel() for p in network.parameters()) == PARAMETERS[ITEMS[item]]


@needs_shared
@pytest.mark.parametrize("kernel", [1, 3, 7])
def test_deformable_convolution_equals_the_authors(kernel: int) -> None:
    conv = DeformableConv(6, 5, kernel).eval()
    state = filled_state(BLOCKS, f"dc{kernel}")
    names = {"offset": "offset_conv", "modulation": "modulator_conv", "conv": "regular_conv"}
    conv.load_state_dict({k: state[_renamed(k, names)] for k in conv.state_dict()})
    x = normal(f"dc{kernel}_x", (2, 6, 5, 7))
    with torch.inference_mode():
        assert_golden(BLOCKS, f"dc{kernel}_offset", conv.offset(x))
        assert_golden(BLOCKS, f"dc{kernel}_modulation", 2 * conv.modulation(x).sigmoid())
        assert_golden(BLOCKS, f"dc{kernel}_out", conv(x))


def _renamed(key: str, names: dict[str, str]) -> str:
    first, rest = key.split(".", 1)
    return f"{names[first]}.{rest}"


@needs_shared
@pytest.mark.parametrize(
    ("item", "module", "shape"),
    [
        ("aspp", DeformablePooling(64), (2, 64, 5, 7)),
        ("block", DecoderBlock(24, 20), (2, 24, 7, 5)),
    ],
)
def test_parts_of_the_decoder_equal_the_authors(
    item: str, module: torch.nn.Module, shape: tuple[int, ...]
) -> None:
    # A part's names are those that it has within the network.
    prefix = "last." + "pooling." * (item == "aspp")
    theirs = BiRefNet.to_upstream_key
    cut = "decoder.decoder_block1." + "dec_att." * (item == "aspp")
    network = BiRefNet("resnet18")
    state = filled_state(BLOCKS, item)
    module.load_state_dict(
        {k: state[theirs(network, prefix + k).removeprefix(cut)] for k in module.state_dict()}
    )
    with torch.inference_mode():
        assert_golden(BLOCKS, f"{item}_out", module.eval()(normal(f"{item}_x", shape)))


@needs_shared
def test_patches_are_cells_in_either_order() -> None:
    counted, stored = torch.arange(3 * 12 * 8).reshape(1, 3, 12, 8), arrays(BLOCKS)
    for order, name in (("current", "patches_current"), ("columns", "patches_before_2024_11")):
        assert np.array_equal(image_patches(counted, 4, 2, order).numpy(), stored[name])  # type: ignore[arg-type]


def test_a_cell_keeps_its_pixels_together() -> None:
    image = torch.arange(2 * 3 * 8 * 4).reshape(2, 3, 8, 4)
    for order in PATCH_ORDERS:
        patches = image_patches(image, 2, 2, order)
        assert patches.shape == (2, 12, 4, 2)
        for color, row, column in np.ndindex(3, 2, 2):
            channel = {
                "current": (color * 2 + row) * 2 + column,
                "columns": (column * 2 + row) * 3 + color,
            }[order]
            cell = image[:, color, 4 * row : 4 * row + 4, 2 * column : 2 * column + 2]
            assert torch.equal(patches[:, channel], cell)


def test_one_image_trains_and_every_parameter_learns(small: BiRefNet) -> None:
    output = small.train()(torch.randn(1, 3, 64, 32))
    assert [tuple(mask.shape) for mask in output.masks] == [
        (1, 1, 64, 32),
        (1, 1, 8, 4),
        (1, 1, 4, 2),
        (1, 1, 2, 1),
    ]
    loss = sum(mask.square().sum() for mask in output.masks)
    (loss + sum(v.sum() for k, v in output.features.items() if k != "laplacian")).backward()
    assert [name for name, p in small.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("size", [(64, 48), (33, 64), (16, 32)])
def test_other_sides_are_refused(small: BiRefNet, size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="multiples of 32"):
        small(torch.zeros(1, 3, *size))


def test_an_unknown_order_is_refused() -> None:
    with pytest.raises(ValueError, match="current or columns"):
        BiRefNet("resnet18", patch_order="rows")  # type: ignore[arg-type]


def saved(network: BiRefNet, path: Path) -> Path:
    """A file as the authors write it."""
    torch.save(to_official(network), path)
    return path


@torch.inference_mode()
def test_a_released_file_of_the_other_order_gives_the_same_masks(
    small: BiRefNet, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    image = torch.randn(1, 3, 64, 64)
    masks = {}
    for order in PATCH_ORDERS:
        small.eval().patch_order = order
        masks[order] = small(image).masks[0]
    small.patch_order = "current"
    assert not torch.allclose(masks["current"], masks["columns"], atol=1e-3)
    # Names of files that the registry knows: trained before and after the change of order.
    files = {
        "columns": "BiRefNet-COD-epoch_125.pth",
        "current": "BiRefNet_HR-general-epoch_130.pth",
    }
    for made, name in files.items():
        path = saved(small, tmp_path / name)
        for order in PATCH_ORDERS:
            network = BiRefNet("resnet18", patch_order=order).eval()
            load_official(network, path)
            torch.testing.assert_close(network(image).masks[0], masks[made], atol=1e-4, rtol=1e-4)
    assert f"{files['columns']}: patch channels go from order columns to current" in caplog.text
    assert "nothing in it tells" not in caplog.text


def test_where_nobody_knows_the_order_a_line_says_so(
    small: BiRefNet, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING")
    path = saved(small, tmp_path / "mine.pth")
    load_official(BiRefNet("resnet18"), path)
    (said,) = caplog.messages
    assert "mine.pth is read with patch_order=current; nothing in it tells the order" in said
    assert "want model.network.patch_order=columns" in said
    caplog.clear()
    load_official(BiRefNet("resnet18", patch_order="columns"), path)
    load_official(BiRefNet("resnet18"), to_official(small))  # given in Python: whose it is is known
    assert not caplog.messages


def test_files_of_other_networks_are_refused_by_what_they_are(
    small: BiRefNet, tmp_path: Path
) -> None:
    whole = to_official(small)
    older = {k: v for k, v in whole.items() if "ipt_blk5" not in k and "gdt_convs_4" not in k}
    of_one = {k: v for k, v in whole.items() if ".bn" not in k and "gdt_convs_4.1" not in k}
    swin = {**whole, "bb.patch_embed.proj.weight": torch.zeros(96, 3, 4, 4)}
    for name, state, message in (
        ("ep480.pth", older, r"ep480\.pth is of BiRefNet as it was before May 2024"),
        ("one.pth", of_one, r"one\.pth was trained with a batch of 1"),
        ("swin.pth", swin, r"swin\.pth is BiRefNet on another backbone.*model=birefnet_lite"),
    ):
        torch.save(state, tmp_path / name)
        with pytest.raises(WeightsError, match=message) as refused:
            load_official(small, tmp_path / name)
        assert "\n" not in str(refused.value)


def test_the_registry_says_the_order_of_every_file_but_two() -> None:
    entries = [e for e in released().values() if e.name.startswith("birefnet")]
    orders = {e.name: dict(e.made_with).get("patch_order") for e in entries}
    assert len(orders) == 16
    assert {name for name, order in orders.items() if order is None} == {
        *("birefnet_512", "birefnet_lite_matting"),
    }
    assert {*orders.values()} == {*PATCH_ORDERS, None}
