"""Makes objects of config nodes."""

from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import OmegaConf

from src.errors import UserError
from src.literals import literals


def build(node: Any, **arguments: Any) -> Any:
    """Instantiate a config node; a value it refuses is the user's to mend, so it says which."""
    if node is None:
        return None
    given = {
        key: literals(literals(v)) if isinstance(v, str) else v for key, v in arguments.items()
    }
    try:
        return instantiate(_as_text(node), **given, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, UserError):
            raise cause from None
        if isinstance(cause, ValueError | TypeError):
            raise UserError(f"{node.get('_target_', 'config')}: {cause}") from error
        raise


def _as_text(node: Any) -> Any:
    """The node with everything resolved; what is left of `${x}` in it is text and stays so.

    Hydra resolves what it is given, and what came of that once more when it reads it.
    """
    if not OmegaConf.is_config(node):
        return node
    return literals(literals(OmegaConf.to_container(node, resolve=True)))
