"""Keeps the best checkpoint of a run, wherever its folder lies."""

from typing import Any

from lightning.pytorch.callbacks import ModelCheckpoint


class BestCheckpoint(ModelCheckpoint):
    """Lightning's ModelCheckpoint, which forgets its best score when the folder was moved.

    The next validation of a resumed run, however bad, would then replace the best checkpoint. It
    also saves its current score without ever reading it, so that checkpoints of a resumed run
    lacked it until the next validation.
    """

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state, its paths put into this folder."""
        super().load_state_dict(_moved(state_dict, str(state_dict["dirpath"]), str(self.dirpath)))
        self.current_score = state_dict.get("current_score")


def _moved(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {_moved(key, old, new): _moved(inner, old, new) for key, inner in value.items()}
    if isinstance(value, str) and value.startswith(old):
        return new + value.removeprefix(old)
    return value
