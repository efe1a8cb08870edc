"""Deep and feature supervision equal the authors' values, from logits."""

import pytest
import torch
from torch import Tensor, nn

from src.losses.terms import (
    BinaryCrossEntropy,
    DeepSupervision,
    FeatureSupervision,
    Late,
    late_terms,
)
from src.networks.network import Output
from tests.golden_data import arrays, manifest, needs_shared, normal, uniform

SHAPE = (2, 1, 48, 64)


def logits_of(probabilities: Tensor) -> Tensor:
    """The logits behind probabilities; 0 and 1 become ±100, where the authors clamp the log."""
    return torch.logit(probabilities.double()).clamp(-100, 100).float()


def golden(name: str) -> list[float]:
    return manifest()["10_losses"]["values"][name]


class FixedTeacher(nn.Module):
    """Returns given features whatever the mask."""

    def __init__(self, features: list[Tensor]) -> None:
        super().__init__()
        self.features = features

    def forward(self, mask: Tensor) -> Output:
        return Output([], {f"stage{i}": f for i, f in enumerate(self.features)})


def isnet_sides() -> list[Tensor]:
    sides = [uniform(f"isnet_prob{i}", SHAPE) for i in range(6)]
    sides[1][0, 0, 0, 0], sides[1][0, 0, 0, 1] = 0, 1
    return [logits_of(side) for side in sides]


def test_rejects_a_wrong_number_of_weights() -> None:
    term = DeepSupervision(BinaryCrossEntropy(), [1, 1])
    with pytest.raises(ValueError, match="2 weights for 1 maps"):
        term(Output([torch.zeros(SHAPE)], {}), {"mask": torch.zeros(SHAPE)})


@needs_shared
@pytest.mark.parametrize("target", ["binary", "softgt"])
def test_side_outputs_as_isnet(target: str) -> None:
    mask = uniform("soft_gt", SHAPE)
    if target == "binary":
        mask = torch.from_numpy(arrays("10_losses")["gt"]).float()
    sides = isnet_sides()
    first, total = golden(f"isnet_fusion_{target}")

    loss = DeepSupervision(BinaryCrossEntropy(), [1] * 6)(Output(sides, {}), {"mask": mask})

    assert BinaryCrossEntropy()(sides[0], mask).item() == pytest.approx(first, rel=2e-6)
    assert loss.item() == pytest.approx(total, rel=2e-6)


@needs_shared
def test_smaller_side_outputs_resize_the_mask() -> None:
    sides = [logits_of(uniform(f"isnet_small{i}", (2, 1, 24, 32))) for i in range(6)]
    mask = torch.from_numpy(arrays("10_losses")["gt"]).float()
    loss = DeepSupervision(BinaryCrossEntropy(), [1] * 6)(Output(sides, {}), {"mask": mask})
    assert loss.item() == pytest.approx(golden("isnet_fusion_small")[1], rel=2e-6)


@needs_shared
def test_side_outputs_as_u2net() -> None:
    sides = [logits_of(uniform(f"u2_prob{i}", SHAPE)) for i in range(7)]
    mask = torch.from_numpy(arrays("10_losses")["gt"]).float()
    loss = DeepSupervision(BinaryCrossEntropy(), [1] * 7)(Output(sides, {}), {"mask": mask})
    assert loss.item() == pytest.approx(golden("u2_multi_bce")[1], rel=2e-6)


@needs_shared
@pytest.mark.parametrize(
    ("distance", "name"),
    [("mse", "MSE"), ("kl", "KL"), ("l1", "MAE"), ("smooth_l1", "SmoothL1")],
)
def test_feature_distances_as_isnet(distance: str, name: str) -> None:
    shapes = [(2, 4 + 2 * i, 48 // 2**i, 64 // 2**i) for i in range(3)]
    student = {f"stage{i}": normal(f"isnet_df{i}", shapes[i]) for i in range(3)}
    teacher = FixedTeacher([normal(f"isnet_f{i}", shapes[i]) for i in range(3)])
    mask = torch.from_numpy(arrays("10_losses")["gt"]).float()
    output = Output(isnet_sides(), student)
    sides = DeepSupervision(BinaryCrossEntropy(), [1] * 6)
    features = FeatureSupervision(teacher, distance=distance)

    total = sides(output, {"mask": mask}) + features(output, {"mask": mask})

    assert total.item() == pytest.approx(golden(f"isnet_kl_{name}")[1], rel=2e-6)


def test_the_teacher_stays_out_of_the_state_and_learns_nothing() -> None:
    teacher = nn.Conv2d(1, 1, 1)
    term = FeatureSupervision(teacher)
    assert not term.state_dict()
    assert not list(term.parameters())
    assert not any(p.requires_grad for p in teacher.parameters())
    term.train()
    assert not teacher.training
    term.double()
    assert teacher.weight.dtype is torch.float64


def test_unknown_distance_names_the_choices() -> None:
    with pytest.raises(ValueError, match="smooth_l1"):
        FeatureSupervision(nn.Identity(), distance="huber")  # type: ignore[arg-type]


def test_late_weights_are_put_around_terms_and_in_place_of_a_recipes_own() -> None:
    plain = DeepSupervision(BinaryCrossEntropy(), [1])
    recipe = Late(DeepSupervision(BinaryCrossEntropy(), [1]), factor=0, epochs=40)
    kept = DeepSupervision(BinaryCrossEntropy(), [1])
    terms = {"plain": plain, "recipe": recipe, "kept": kept}
    weights = {"plain": [1, 0.5], "recipe": [0, 2], "switched off": [1, 0]}
    changed = late_terms(terms, 2, weights)
    assert list(changed) == ["plain", "recipe", "kept"]
    assert changed["kept"] is kept
    seen: dict[str, list[float]] = {"plain": [], "recipe": []}
    for name, of_epochs in seen.items():
        term = changed[name]
        assert isinstance(term, Late)
        assert not isinstance(term.term, Late)
        for epoch in range(5):
            term.begin_epoch(epoch, 5)
            of_epochs.append(term.weight)
    assert seen == {"plain": [1, 1, 1, 0.5, 0.5], "recipe": [0, 0, 0, 2, 2]}


def test_a_weight_can_shrink_again_in_each_late_epoch() -> None:
    term = late_terms({"all": nn.Identity()}, 3, {"all": [1, 0.5]}, compound=True)["all"]
    assert isinstance(term, Late)
    weights = []
    for epoch in range(4):
        term.begin_epoch(epoch, 4)
        weights.append(term.weight)
    assert weights == [1, 0.5, 0.25, 0.125]
