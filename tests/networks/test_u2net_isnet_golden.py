"""IS-Net and U²-Net equal their authors' networks, through the official parameter names."""

import pytest
import torch

from src.weights.loading import build, load_official, to_official
from tests.golden_data import (
    assert_golden,
    needs_shared,
    official_keys,
    official_state,
    uniform,
)

IMAGENET_MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
IMAGENET_STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)

CASES = [
    ("isnet", "01_isnet_dis", 1),
    ("isnet_gt_encoder", "02_isnet_gtencoder", 1),
    ("u2net", "03_u2net", 0),
    ("u2netp", "04_u2netp", 0),
]


def golden_input(name: str) -> torch.Tensor:
    if name == "isnet":
        return uniform("input", (1, 3, 128, 160)) - 0.5
    if name == "isnet_gt_encoder":
        return uniform("input", (1, 1, 128, 160))
    return (uniform("input", (1, 3, 128, 96)) - IMAGENET_MEAN) / IMAGENET_STD


@needs_shared
@pytest.mark.parametrize(("name", "item", "first_side"), CASES)
def test_equals_the_authors_network(name: str, item: str, first_side: int) -> None:
    network = build(name)
    load_official(network, official_state(item))

    with torch.inference_mode():
        output = network(golden_input(name))

    for i, mask in enumerate(output.masks, start=first_side):
        assert_golden(item, f"d{i}", mask.sigmoid())
    if first_side:
        for i, feature in enumerate(output.features.values(), start=1):
            assert_golden(item, f"feat{i}", feature)


@needs_shared
@pytest.mark.parametrize(("name", "item", "_"), CASES)
def test_exports_every_official_key(name: str, item: str, _: int) -> None:
    exported = to_official(build(name))
    expected = {key: shape for key, (shape, _) in official_keys(item).items()}
    assert {key: tuple(value.shape) for key, value in exported.items()} == expected
