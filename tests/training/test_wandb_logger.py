"""Weights & Biases is asked for its key before anything is trained."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from src.errors import UserError
from src.training.loggers import _refuse_strangers


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The package, which takes a second to import, on a machine where nobody is logged in."""
    errors = ModuleType("wandb.errors")
    errors.Error = type("Error", (Exception,), {})  # type: ignore[attr-defined]
    package = SimpleNamespace(login=lambda prompt: False, api=SimpleNamespace(api_key=None))
    monkeypatch.setitem(sys.modules, "wandb", package)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "wandb.errors", errors)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    return package


def test_without_a_key_it_is_said_what_to_do() -> None:
    with pytest.raises(UserError, match=r"wandb login.*WANDB_API_KEY.*logger.wandb.offline=true"):
        _refuse_strangers()


def test_a_key_that_is_none_is_refused_in_the_same_sentence(nobody: SimpleNamespace) -> None:
    def login(prompt: bool) -> bool:
        raise ValueError("API key must have 40+ characters, has 3.")

    nobody.login = login
    with pytest.raises(UserError, match=r"has 3\. Log in"):
        _refuse_strangers()


def test_releases_that_always_ask_are_asked_for_the_key_itself(nobody: SimpleNamespace) -> None:
    nobody.login = lambda: True
    with pytest.raises(UserError, match="no key"):
        _refuse_strangers()
    nobody.api.api_key = "k"
    _refuse_strangers()


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_what_stays_here_needs_no_key(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", mode)
    _refuse_strangers()
