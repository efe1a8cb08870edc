"""The page of model cards is what its command prints, and says something of every weight."""

from pathlib import Path

import pytest

from src.inference.model_cards import cards
from src.weights.registry import released

PAGE = Path(__file__).parents[2] / "docs/models.md"


@pytest.fixture(scope="module")
def page() -> str:
    return cards()


def test_the_committed_page_is_what_the_command_prints(page: str) -> None:
    assert PAGE.read_text(encoding="utf-8") == page, (
        "python -m src.inference.model_cards > docs/models.md"
    )


def test_every_weight_has_a_card(page: str) -> None:
    sections = page.split("\n### ")[1:]
    assert [section.split("\n", 1)[0] for section in sections] == list(released())
    for entry, section in zip(released().values(), sections, strict=True):
        for fact in (
            entry.purpose,
            f"`{entry.file}`",
            "| input |",
            "| license of the code |",
            "| license of the weights |",
            "| commercial use |",
            "| trained on |",
        ):
            assert fact in section
        assert entry.page in section
        if entry.checksum is not None:
            assert entry.checksum.digest in section


def test_commands_use_what_a_weight_is_for(page: str) -> None:
    assert "predict.py weights=u2net input=photos type=rgba" in page
    assert "weights=u2net_portrait input=photos crop=face type=[mask,composite]" in page
    assert "annotate.py weights=iog_pascal_sbd boxes=" in page
