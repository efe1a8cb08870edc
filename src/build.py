"""Makes objects of config nodes."""

from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.errors import UserError
from src.targets import check_targets


def build(node: Any, **arguments: Any) -> Any:
    """Instantiate a config node; a value it refuses is the user's to mend, so it says which.

    Raises:
        UserError: A value that is refused, or a `_target_` that is not on the list of
            `src/targets.py`.
    """
    if node is None:
        return None
    _check(node)
    try:
        return instantiate(node, **arguments, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, UserError):
            raise cause from None
        if isinstance(cause, ValueError | TypeError):
            raise UserError(f"{node.get('_target_', 'config')}: {cause}") from error
        raise


def _check(node: Any) -> None:
    try:
        plain = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    except OmegaConfBaseException:
        return  # instantiating it says what is wrong
    check_targets(plain)
