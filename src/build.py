"""Makes objects of config nodes."""

from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate

from src.errors import UserError


def build(node: Any, **arguments: Any) -> Any:
    """Instantiate a config node; a value it refuses is the user's to mend, so it says which."""
    if node is None:
        return None
    try:
        return instantiate(node, **arguments, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, UserError):
            raise cause from None
        if isinstance(cause, ValueError | TypeError):
            raise UserError(f"{node.get('_target_', 'config')}: {cause}") from error
        raise
