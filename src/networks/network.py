"""What a network is here: the `Network` base class, and the `Output` that every network returns."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn

from src.networks.activation_checkpointing import Checkpointable


class Output(NamedTuple):
    """Predictions of one forward pass, before any sigmoid.

    masks: (B, 1, h, w) logits, finest first; `masks[0]` is the prediction.
    features: (B, C, h, w) maps by name, in the order of the stages, for losses that look inside.
    """

    masks: list[Tensor]
    features: dict[str, Tensor]


class Network(Checkpointable, ABC):
    """Base class of every network: one required method, and defaults for all else that is asked.

    Training, inference, export and the loading of weights ask a network nothing beyond this class.
    A network knows nothing of losses, of Lightning or of configs.

    Attributes:
        min_side: Smallest height and width of an input.
        side_multiple: What height and width of an input must be multiples of. 1 for networks that
            pad or resize by themselves.
        feature_names: Names of `Output.features`, in their order.
        runs_file: Its weights are those of a file that it runs: none are loaded into it, and it
            cannot be trained or exported.
        title: What the network is called on the page of model cards; the class's name if empty.
        paper: Its authors, title and place, for that page.
        limits: What the network cannot do, a sentence each, for that page.
    """

    min_side: int = 1
    side_multiple: int = 1
    feature_names: tuple[str, ...] = ()
    runs_file: bool = False
    title: str = ""
    paper: str = ""
    limits: tuple[str, ...] = ()

    @abstractmethod
    def forward(self, x: Tensor) -> Output:
        """Logits for inputs `(B, C, H, W)`: normalized images, prompts joined behind them."""

    def input_channels(self) -> int:
        """Channels C of an input; by default those that the first convolution takes."""
        convolutions = (module for module in self.modules() if isinstance(module, nn.Conv2d))
        first = next(convolutions, None)
        return 3 if first is None else first.in_channels

    def check_size(self, height: int, width: int) -> None:
        """Raise ValueError where an input of this size cannot be computed."""
        for side in (height, width):
            if side < self.min_side or side % self.side_multiple:
                raise ValueError(
                    f"{type(self).__name__} does not take {height}×{width} pixels: sides are "
                    f"multiples of {self.side_multiple}, at least {self.min_side}"
                )

    def commuting_norms(self) -> Iterable[tuple[nn.Module, nn.Module]]:
        """Pairs of a convolution and a BatchNorm which may be fused although something stands
        between them that a scale and a shift per channel may pass, such as a resize.

        Norms right behind a convolution need not be listed, `fuse_conv_bn` sees them.
        """
        return ()

    def to_upstream_key(self, name: str) -> str:
        """The key that the authors' checkpoints have for the entry `name` of `state_dict()`."""
        return name

    def upstream_buffers(self) -> dict[str, Tensor]:
        """Entries of the authors' checkpoints that are computed, not learned, by their key."""
        return {}

    def explain_misfit(self, state: Mapping[str, Tensor]) -> str | None:
        """What a file is whose entries do not fit, where the authors have such files; else None.

        The answer follows the file's name in a sentence and says what to do.
        """
        return None

    def convert_weights(
        self, state: dict[str, Tensor], made_with: Mapping[str, Any], source: str
    ) -> dict[str, Tensor]:
        """A file's weights, by our names, as this network reads them.

        Args:
            state: What is about to be loaded, of the right shapes.
            made_with: Arguments of the network that the file was trained with, as far as known.
            source: The file, for what has to be said.
        """
        return state

    @property
    def blends(self) -> bool:
        """Whether the network has a `forward_blended` of its own."""
        return type(self).forward_blended is not Network.forward_blended

    @property
    def refines(self) -> bool:
        """Whether it has `encode` and `decode`, so that clicks do not run the backbone again."""
        own = type(self)
        return own.encode is not Network.encode and own.decode is not Network.decode

    def forward_blended(self, image: Tensor, image_lr: Tensor) -> Output:
        """Sharpen the prediction for `image_lr` `(B, 3, h, w)` by details of `image`
        `(B, 3, H, W)`, the same at high resolution; for `finecut predict detail=blended`.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot blend two resolutions")

    def encode(self, x: Tensor) -> dict[str, Tensor]:
        """Features of image and first clicks `(B, 3 + K, H, W)`."""
        raise NotImplementedError(f"{type(self).__name__} takes no further clicks")

    def decode(self, features: dict[str, Tensor], prompt: Tensor) -> Output:
        """Predict from what `encode` made and all clicks `(B, K, H, W)`."""
        raise NotImplementedError(f"{type(self).__name__} takes no further clicks")


def require_network(made: Any) -> Network:
    """`made` itself, if it keeps the contract.

    Raises:
        ValueError: It is no `Network`; the message says what to change.
    """
    if isinstance(made, Network):
        return made
    raise ValueError(
        f"{type(made).__module__}.{type(made).__name__} is no Network: derive the class from "
        "src.networks.network.Network instead of torch.nn.Module (docs/extend.md)"
    )
