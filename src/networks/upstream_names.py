"""Networks on a backbone, under the parameter names of their authors' checkpoints."""

import re
from collections.abc import Callable, Sequence
from typing import ClassVar

from torch import Tensor

from src.networks.backbone import Backbone
from src.networks.network import Network

Replacement = str | Callable[[re.Match[str]], str]


def numbered(text: str, first: int, step: int = 1) -> Callable[[re.Match[str]], str]:
    """A replacement in which `{}` stands for the matched index, counted from `first` by `step`."""
    return lambda match: text.format(first + step * int(match[1]))


class BackboneNetwork(Network):
    """A network with a `backbone`, whose entries the authors keep under a name of their own.

    Attributes:
        upstream_backbone: What the authors call the backbone.
        upstream_names: Patterns in our names outside of it and what the authors have in their
            place, all of them applied, in order.
    """

    backbone: Backbone
    upstream_backbone: ClassVar[str]
    upstream_names: ClassVar[Sequence[tuple[str, Replacement]]]

    def to_upstream_key(self, name: str) -> str:
        if name.startswith("backbone."):
            of_backbone = self.backbone.to_upstream_key(name.removeprefix("backbone."))
            return f"{self.upstream_backbone}.{of_backbone}"
        for pattern, theirs in self.upstream_names:
            name = re.sub(pattern, theirs, name)
        return name

    def upstream_buffers(self) -> dict[str, Tensor]:
        constants = self.backbone.upstream_buffers()
        return {f"{self.upstream_backbone}.{key}": value for key, value in constants.items()}
