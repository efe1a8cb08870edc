"""The networks by name: which class, with which arguments. Imports a network only when built."""

from importlib import import_module
from typing import Any, NamedTuple

from torch import nn

from src.errors import UserError


class Entry(NamedTuple):
    """Where a network's class is, and what makes it this variant of it."""

    target: str
    arguments: dict[str, Any]


NETWORKS: dict[str, Entry] = {
    "isnet": Entry("src.networks.isnet.ISNet", {}),
    "isnet_gt_encoder": Entry("src.networks.isnet.ISNetGTEncoder", {}),
    "u2net": Entry("src.networks.u2net.U2Net", {}),
    "u2netp": Entry("src.networks.u2net.U2Net", {"small": True}),
    "inspyrenet_res2net50": Entry("src.networks.inspyrenet.InSPyReNet", {"backbone": "res2net50"}),
    "inspyrenet_swinb": Entry("src.networks.inspyrenet.InSPyReNet", {"backbone": "swinb"}),
    "dextr": Entry("src.networks.dextr.DEXTR", {"head": "psp"}),
    "dextr_atrous": Entry("src.networks.dextr.DEXTR", {"head": "atrous"}),
    "iog": Entry("src.networks.iog.IOG", {}),
    "iog_refine": Entry("src.networks.iog.IOGRefine", {}),
}


def create(name: str, **arguments: Any) -> nn.Module:
    """A network with random weights. Raises UserError that lists the names it knows."""
    if name not in NETWORKS:
        raise UserError(f"no network is called {name!r}; choose one of {', '.join(NETWORKS)}")
    target, fixed = NETWORKS[name]
    module, class_name = target.rsplit(".", 1)
    return getattr(import_module(module), class_name)(**{**fixed, **arguments})
