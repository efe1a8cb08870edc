"""BiRefNet equals its authors' network through the official names, and keeps its promises."""

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
from src.weights.loading import build, load_official, to_official
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


@needs_shared
def test_weights_of_before_november_2024_want_the_older_order(
    official: tuple[str, BiRefNet],
) -> None:
    item, network = official
    network.patch_order = "columns"
    try:
        with torch.inference_mode():
            for name in ("A", "B"):
                mask = network(golden_image(item, name)).masks[0]
                assert_golden(item, f"{name}_legacy_logits", mask)
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
