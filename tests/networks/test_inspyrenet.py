"""InSPyReNet equals its authors' network through the official names, and keeps its promises."""

import copy
import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from src.losses.inspyrenet import PyramidConsistency, PyramidSupervision
from src.networks import inspyrenet
from src.networks.attention import ScaleInvariantAttention
from src.networks.inspyrenet import InSPyReNet
from src.networks.pyramid import transition_map
from src.weights.loading import load_official, to_official
from tests.golden_data import (
    arrays,
    assert_golden,
    imagenet_image,
    manifest,
    needs_shared,
    official_keys,
    official_state,
)

ITEMS = {"05_inspyrenet_res2net50": "res2net50", "06_inspyrenet_swinb": "swinb"}
PARAMETERS = {"res2net50": 28_104_339, "swinb": 90_721_443}


# Filling 90 million weights takes seconds: one network at a time serves all tests of an item.
@pytest.fixture(scope="module", params=ITEMS)
def official(request: pytest.FixtureRequest) -> tuple[str, InSPyReNet]:
    network = InSPyReNet(ITEMS[request.param]).eval()
    load_official(network, official_state(request.param))
    return request.param, network


@pytest.fixture
def small() -> InSPyReNet:
    torch.manual_seed(0)
    network = InSPyReNet("resnet18", depth=16, base_size=64)
    # Gamma starts at 0, which would hide the attention from every test.
    for name, parameter in network.named_parameters():
        if name.endswith("gamma"):
            parameter.data.fill_(0.3)
    return network


@needs_shared
def test_equals_the_authors_network(official: tuple[str, InSPyReNet]) -> None:
    item, network = official
    with torch.inference_mode():
        masks, features = network(imagenet_image("input", (2, 3, 160, 192)))

    for i, mask in enumerate(masks):
        assert_golden(item, f"A_d{i}", mask)
    for name, laplacian in features.items():
        assert_golden(item, f"A_{name}", laplacian)
    probability = masks[0].sigmoid()
    low, high = probability.min(), probability.max()  # over the batch, as the authors do
    assert_golden(item, "A_pred", (probability - low) / (high - low + 1e-8))


def share_outside(item: str, name: str, ours: Tensor) -> float:
    """Share of stored values beyond the tolerance."""
    meta, theirs = manifest()[item]["arrays"][name], arrays(item)[name].astype(np.float64)
    steps = tuple(slice(None, None, step) for step in meta.get("stride", [1] * 4))
    gap = np.abs(ours.numpy()[steps] - theirs)
    allowed = meta.get("tol_atol", 0) + meta.get("tol_rtol", 0) * np.abs(theirs)
    return float((gap > allowed).mean())


@needs_shared
@pytest.mark.slow
def test_blends_resolutions_like_the_authors(
    official: tuple[str, InSPyReNet], monkeypatch: pytest.MonkeyPatch
) -> None:
    item, network = official
    transitions = []

    def recorded(logits: Tensor, size: int) -> Tensor:
        transitions.append(transition_map(logits, size))
        return transitions[-1]

    monkeypatch.setattr(inspyrenet, "transition_map", recorded)
    with torch.inference_mode():
        masks, features = network.forward_blended(
            imagenet_image("input_hr", (1, 3, 640, 544)),
            imagenet_image("input_resized", (1, 3, 384, 384)),
        )

    # A pixel at the threshold of a transition map may fall on either side of it; each one that
    # does moves the finer maps around it.
    for name, transition in zip(("B_t2", "B_t1", "B_t0"), transitions, strict=True):
        assert share_outside(item, name, transition) <= 1e-3, name
    assert_golden(item, "B_d3", masks[3])
    for i, mask in enumerate(masks[:3]):
        assert share_outside(item, f"B_d{i}", mask) <= 5e-3, i
    for name, laplacian in features.items():
        assert share_outside(item, f"B_{name}", laplacian) <= 5e-3, name


@pytest.mark.slow
@needs_shared
def test_losses_and_gradients_equal_the_authors(official: tuple[str, InSPyReNet]) -> None:
    item, shared = official
    stored, spec = arrays(item), manifest()[item]
    # In double precision: on some CPUs fp32 with one thread is 1.3e-3 off in a norm of 8e-3.
    network = copy.deepcopy(shared).double()
    batch = {"mask": torch.from_numpy(stored["gt"]).double()}
    supervision, consistency = PyramidSupervision(), PyramidConsistency()

    output = network(imagenet_image("input", (2, 3, 160, 192)).double())
    loss = supervision(output, batch) + consistency(output, batch)
    loss.backward()

    levels = supervision.levels(output, batch)
    terms = [*reversed(consistency.distances(output)), *itertools.chain(*reversed(levels))]
    rtol = 1e-4 if item.startswith("05") else 1e-5
    np.testing.assert_allclose([t.item() for t in terms], stored["loss_terms"], rtol=rtol)
    np.testing.assert_allclose(loss.item(), stored["loss_total"], rtol=rtol)
    ours = {network.to_upstream_key(name): p for name, p in network.named_parameters()}
    norms = [ours[name].grad.double().norm().item() for name in spec["grad_param_names"]]
    np.testing.assert_allclose(norms, stored["grad_l2"], rtol=1e-3)
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


@needs_shared
def test_exports_every_official_key(official: tuple[str, InSPyReNet]) -> None:
    item, network = official
    expected = {key: shape for key, (shape, _) in official_keys(item).items()}
    assert {key: tuple(value.shape) for key, value in to_official(network).items()} == expected


@pytest.mark.parametrize("backbone", PARAMETERS)
def test_parameter_count_is_as_documented(backbone: str) -> None:
    with torch.device("meta"):
        network = InSPyReNet(backbone)
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count == PARAMETERS[backbone]
    assert f"{count / 1e6:.1f} M" in str(InSPyReNet.__doc__)


@pytest.mark.parametrize("size", [(64, 64), (33, 50), (97, 128), (40, 71)])
def test_any_size(small: InSPyReNet, size: tuple[int, int]) -> None:
    with torch.inference_mode():
        masks, features = small.eval()(torch.rand(1, 3, *size))
    expected = [tuple(-(-side // 2**i) for side in size) for i in range(4)]
    assert [tuple(mask.shape[2:]) for mask in masks] == expected
    assert [tuple(x.shape[2:]) for x in features.values()] == expected[:3]
    assert list(features) == ["p0", "p1", "p2"]


def test_training_and_evaluation_return_the_same_maps(small: InSPyReNet) -> None:
    image = torch.rand(2, 3, 64, 96)
    training, evaluation = small.train()(image), small.eval()(image)
    for a, b in zip(training.masks, evaluation.masks, strict=True):
        assert a.shape == b.shape
    assert training.features.keys() == evaluation.features.keys()


def test_blended_maps_have_the_size_of_the_large_image(small: InSPyReNet) -> None:
    with torch.inference_mode():
        output = small.eval().forward_blended(torch.rand(2, 3, 130, 97), torch.rand(2, 3, 64, 64))
    assert output.masks[0].shape == (2, 1, 130, 97)
    assert output.masks[3].shape == (2, 1, 17, 13)


def test_blending_keeps_details_only_around_edges(small: InSPyReNet) -> None:
    # A network that is sure of one foreground everywhere has no edges to sharpen.
    small.attentions[0].head.bn.bias.data.fill_(100.0)
    with torch.inference_mode():
        output = small.eval().forward_blended(torch.rand(1, 3, 96, 96), torch.rand(1, 3, 64, 64))
    assert all(not laplacian.any() for laplacian in output.features.values())


def test_every_parameter_learns_and_frozen_ones_do_not(small: InSPyReNet) -> None:
    small.backbone.requires_grad_(False)
    batch = {"mask": (torch.rand(2, 1, 64, 64) > 0.5).float()}
    output = small(torch.rand(2, 3, 64, 64))
    (PyramidSupervision()(output, batch) + PyramidConsistency()(output, batch)).backward()
    for name, parameter in small.named_parameters():
        assert (parameter.grad is None) == name.startswith("backbone."), name


def test_no_gradient_passes_to_the_coarser_map(small: InSPyReNet) -> None:
    output = small(torch.rand(2, 3, 64, 64))
    output.masks[0].sum().backward()
    assert small.decoder.head.weight.grad is None
    assert small.attentions[1].head.conv.weight.grad is None
    assert small.attentions[0].head.conv.weight.grad.abs().sum() > 0


def test_checkpointing_changes_neither_gradients_nor_statistics(small: InSPyReNet) -> None:
    networks = [small, copy.deepcopy(small)]
    networks[1].set_grad_checkpointing(True)
    image = torch.rand(2, 3, 64, 64)
    for network in networks:
        network(image).masks[0].square().mean().backward()
    kept, again = networks
    for (name, a), b in zip(kept.named_parameters(), again.parameters(), strict=True):
        if a.grad is not None or b.grad is not None:
            torch.testing.assert_close(a.grad, b.grad, msg=name)
    state = again.state_dict()  # of a thousand entries: once
    for key, value in kept.state_dict().items():
        torch.testing.assert_close(value, state[key], msg=key)


def test_channels_last_changes_nothing(small: InSPyReNet) -> None:
    image = torch.rand(2, 3, 72, 64)
    small.eval()
    with torch.inference_mode():
        expected = small(image).masks[0]
        small.to(memory_format=torch.channels_last)
        found = small(image.contiguous(memory_format=torch.channels_last)).masks[0]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


# Measured on the golden weights: up to 0.068 (Res2Net50) and 0.030 (Swin-B) in probability, less
# than 0.006 on average.
@needs_shared
def test_bf16_stays_close_to_fp32(official: tuple[str, InSPyReNet]) -> None:
    _, network = official
    image = imagenet_image("input", (2, 3, 160, 192))[:1, :, :96]
    with torch.inference_mode():
        expected = network(image).masks
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = network(image).masks
    for ours, exact in zip(found, expected, strict=True):
        assert ours.dtype == torch.float32
        gap = (ours.sigmoid() - exact.sigmoid()).abs()
        assert gap.max() < 0.15
        assert gap.mean() < 0.012


@pytest.mark.slow
def test_compiles_without_graph_breaks(small: InSPyReNet) -> None:
    image = torch.rand(1, 3, 64, 96)
    small.eval()
    compiled = torch.compile(small, fullgraph=True, backend="eager")
    with torch.no_grad():
        torch.testing.assert_close(compiled(image).masks[0], small(image).masks[0])


def test_attention_does_not_depend_on_the_size_of_the_map() -> None:
    """What the name says: the same image, twice as large, is summarized the same."""
    torch.manual_seed(0)
    attention = ScaleInvariantAttention(8, 8, (16, 16), with_laplacian=False).eval()
    features, logits = torch.rand(1, 8, 16, 16), torch.randn(1, 1, 16, 16)
    doubled = [x.repeat_interleave(2, 2).repeat_interleave(2, 3) for x in (features, logits)]
    contexts = [
        attention._contexts(x, attention._regions(x, s, None))
        for x, s in ((features, logits), doubled)
    ]
    torch.testing.assert_close(*contexts)


def test_attention_asks_for_the_laplacian_it_was_built_for() -> None:
    attention = ScaleInvariantAttention(8, 8, (16, 16), with_laplacian=True)
    with pytest.raises(ValueError, match="Laplacian"):
        attention(torch.rand(1, 8, 16, 16), torch.rand(1, 1, 16, 16))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 12}, "depth is 12"),
        ({"base_size": 382}, "base_size is 382"),
        ({"base_size": (384, 384, 3)}, "base_size"),
    ],
)
def test_refuses_impossible_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        InSPyReNet("resnet18", **arguments)


def test_refuses_images_it_cannot_halve_three_times(small: InSPyReNet) -> None:
    with pytest.raises(ValueError, match=r"20×64; InSPyReNet needs 32"):
        small(torch.rand(1, 3, 20, 64))
    with pytest.raises(ValueError, match="2 images but 1 small"):
        small.forward_blended(torch.rand(2, 3, 64, 64), torch.rand(1, 3, 64, 64))
