"""Makes objects of config nodes."""

from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import OmegaConf

from src.command_line import literals
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
    given = {
        key: literals(literals(v)) if isinstance(v, str) else v for key, v in arguments.items()
    }
    if OmegaConf.is_config(node):
        # Hydra resolves what it is given, and what came of that once more when it reads it: what
        # is left of `${x}` after the first time is text, and stays so.
        plain = OmegaConf.to_container(node, resolve=True)
        checked: Any = literals(literals(plain))
    else:
        plain = checked = node
    check_targets(plain)
    try:
        return instantiate(checked, **given, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, UserError):
            raise cause from None
        # By name, because Lightning takes seconds to import.
        refused = type(cause).__name__ == "MisconfigurationException"
        if refused or isinstance(cause, ValueError | TypeError):
            raise UserError(f"{node.get('_target_', 'config')}: {cause}") from error
        raise
