"""Any network can compute its activations again in the backward pass, with the same result."""

import copy

import pytest
import torch
from torch import Tensor, nn

from src.networks.activation_checkpointing import checkpoint_blocks
from src.networks.network import Network, Output
from src.networks.summary import activation_bytes


def unit(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
    )


class Residual(nn.Module):
    """A block with a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)
        self.conv2, self.norm2 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm2(self.conv2(self.norm1(self.conv1(x)).relu())) + x


class Foreign(Network):
    """Stages of several kinds: units in a list, blocks in a chain that is walked through."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.units = nn.ModuleList([unit(3, width), unit(width, width)])
        self.blocks = nn.Sequential(*(Residual(width) for _ in range(3)), nn.Dropout(0.2))
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, x: Tensor) -> Output:
        for one in self.units:
            x = one(x)
        for block in self.blocks:
            x = block(x)
        return Output([self.head(x)], {})


class Chain(Network):
    """One chain of layers, nothing else."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        units = [unit(width, width) for _ in range(5)]
        self.layers = nn.Sequential(*unit(3, width), *(x for one in units for x in one))
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, x: Tensor) -> Output:
        return Output([self.head(self.layers(x))], {})


def state_after_a_step(network: nn.Module) -> dict[str, Tensor]:
    """Gradients and statistics after one training step."""
    torch.manual_seed(1)
    network(torch.rand(2, 3, 16, 16)).masks[0].square().mean().backward()
    gradients = {f"{n}.grad": p.grad.clone() for n, p in network.named_parameters()}  # type: ignore[union-attr]
    return gradients | {name: value.clone() for name, value in network.state_dict().items()}


@pytest.mark.parametrize("kind", [Foreign, Chain])
def test_the_default_saves_memory_and_changes_no_result(kind: type[Network]) -> None:
    torch.manual_seed(0)
    plain = kind().train()  # type: ignore[call-arg]
    saving = copy.deepcopy(plain)
    saving.set_grad_checkpointing()
    image = torch.rand(1, 3, 64, 64)
    kept, without = (activation_bytes(copy.deepcopy(one), image) for one in (saving, plain))
    assert kept < 0.5 * without
    expected, found = state_after_a_step(plain), state_after_a_step(saving)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


@pytest.mark.parametrize("kind", [Foreign, Chain])
def test_it_can_be_switched_off_and_survives_a_copy(kind: type[Network]) -> None:
    network = kind().train()  # type: ignore[call-arg]
    kinds = [type(part) for part in network.modules()]
    network.set_grad_checkpointing()
    network.set_grad_checkpointing()  # twice is once
    assert [type(part) for part in network.modules()] != kinds
    twin = copy.deepcopy(network).eval()
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    assert not twin(torch.rand(1, 3, 16, 16)).masks[0].any(), "a copy runs its own blocks"
    network.set_grad_checkpointing(False)
    assert [type(part) for part in network.modules()] == kinds


class Overwriting(nn.Module):
    """Opens with an activation in place, written as a function."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(torch.nn.functional.leaky_relu(x, inplace=True)))


def test_a_block_that_overwrites_its_input_is_named_instead_of_computed_wrongly() -> None:
    network = nn.ModuleDict({"stem": nn.Conv2d(3, 4, 1), "block": Overwriting()})
    checkpoint_blocks(network.train())
    with pytest.raises(ValueError, match="Overwriting changes its input in place"):
        network["block"](network["stem"](torch.rand(1, 3, 8, 8)))


def test_a_chain_that_opens_in_place_is_left_as_it_is() -> None:
    network = nn.ModuleDict({"up": nn.Sequential(nn.LeakyReLU(0.2, inplace=True), *unit(4, 4))})
    checkpoint_blocks(network)
    assert type(network["up"]) is nn.Sequential
