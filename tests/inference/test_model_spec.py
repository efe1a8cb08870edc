"""What a checkpoint of ours says of its clicks, and what is done where it says nothing."""

from pathlib import Path
from typing import Any

import pytest
import torch

from src.datamodules.clicks import ExtremePoints, InsideOutsidePoints, prompts_of, to_dict
from src.errors import UserError
from src.inference.model_spec import named, of_checkpoint


def checkpoint(path: Path, model: str, **said: Any) -> Path:
    recipe = named(model)
    known = {
        "model": model,
        "network": dict(recipe.network),
        "processor": recipe.processor.to_dict(),
        "inputs": list(recipe.inputs),
    }
    torch.save({"state_dict": {"weight": torch.ones(1)}, "finecut": known | said}, path)
    return path


@pytest.mark.parametrize("prompts", [ExtremePoints(7, 3), InsideOutsidePoints(12, margin=4)])
def test_prompts_survive_being_written_down(prompts: Any) -> None:
    assert prompts_of(**to_dict(prompts)) == prompts


def test_a_checkpoint_says_how_its_prompt_is_made(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "a.ckpt", "dextr", prompts=to_dict(ExtremePoints(relax=7)))
    assert of_checkpoint(path).prompts == ExtremePoints(relax=7)


@pytest.mark.parametrize(
    ("model", "prompts"),
    [("dextr", ExtremePoints()), ("iog_refine", InsideOutsidePoints()), ("u2netp", None)],
)
def test_an_older_one_gets_its_models(tmp_path: Path, model: str, prompts: Any) -> None:
    assert of_checkpoint(checkpoint(tmp_path / "old.ckpt", model)).prompts == prompts


@pytest.mark.parametrize(
    ("prompts", "words"),
    [
        ({"kind": "scribbles"}, "'scribbles' are unknown.*another version"),
        ({"kind": "extreme_points", "colour": "red"}, "colour.*another version"),
        ({"kind": "extreme_points", "relax": {"_target_": "os.getpid"}}, "wants to build"),
    ],
)
def test_prompts_that_are_none_of_ours(tmp_path: Path, prompts: Any, words: str) -> None:
    path = checkpoint(tmp_path / "bad.ckpt", "dextr", prompts=prompts)
    with pytest.raises(UserError, match=words):
        of_checkpoint(path)
