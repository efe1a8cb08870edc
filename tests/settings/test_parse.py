"""What people type becomes typed values, or one line that names the key and what it takes."""

from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Lt
from omegaconf import DictConfig, OmegaConf
from pydantic import model_validator

from src.errors import CommandError
from src.settings.parse import parse, parse_part
from src.settings.schema import (
    FilePath,
    Flag,
    Name,
    Names,
    Paths,
    Seed,
    Settings,
    Size,
    Whole,
    allowed_values,
    in_words,
    setting,
)


class Inner(Settings):
    rate: float = setting("rate", gt=0)


class Example(Settings):
    path: FilePath = setting("a file")
    files: Paths = setting("files", default=["a"])
    flag: Flag = setting("a flag", default=False)
    count: Whole = setting("a count", ge=1, le=8, default=1)
    limit: Whole | None = setting("a limit", ge=1, default=None)
    share: float = setting("a share", ge=0, lt=1, default=0.5)
    kind: Literal["a", "b"] = setting("a kind", default="a")
    size: Size | None = setting("a size", default=None)
    names: Names = setting("names", default=[])
    name: Name = setting("a name", default="n")
    seed: Seed = setting("a seed", default=0)
    inner: Inner = setting("more", default=None)

    @model_validator(mode="after")
    def _check(self) -> "Example":
        if self.flag and self.kind == "b":
            raise ValueError("flag=true and kind=b exclude each other")
        return self


def parsed(**values: Any) -> Example:
    return parse(Example, DictConfig({"path": "x", **values}))


def refusal(**values: Any) -> str:
    with pytest.raises(CommandError) as error:
        parsed(**values)
    return str(error.value)


@pytest.mark.parametrize("word", ["true", "yes", "on", "y", "1", 1, True, "True", "ON"])
def test_words_for_yes_are_true(word: object) -> None:
    assert parsed(flag=word).flag is True


@pytest.mark.parametrize("word", ["false", "no", "off", "n", "0", 0, False, "NO"])
def test_words_for_no_are_false(word: object) -> None:
    assert parsed(flag=word).flag is False


@pytest.mark.parametrize("word", ["maybe", "", 2, -1, 1.0, [True], "none"])
def test_words_that_are_neither_are_refused(word: object) -> None:
    assert "flag=" in refusal(flag=word)
    assert "give true or false" in refusal(flag=word)


@pytest.mark.parametrize("count", [0, -1, 9, 1.5, "abc", "3", True, float("nan"), 1e30, [1]])
def test_a_count_out_of_its_range_is_answered_with_the_range(count: object) -> None:
    assert refusal(count=count).endswith("give a whole number from 1 to 8")


def test_a_whole_number_may_be_written_as_a_power_of_ten() -> None:
    assert parsed(limit=1e5).limit == 100_000


@pytest.mark.parametrize("share", [-0.1, 1, 1.0, float("nan"), float("inf"), "half", None])
def test_a_share_is_finite_and_in_its_range(share: object) -> None:
    assert "share=" in refusal(share=share) or "share= is missing" in refusal(share=share)


@pytest.mark.parametrize(
    "size", [15, 40_000, 3.5, float("nan"), 1e30, "big", [64], [64, 64, 64], []]
)
def test_a_size_is_one_or_two_whole_numbers_of_pixels(size: object) -> None:
    assert "[height,width]" in refusal(size=size)


@pytest.mark.parametrize("size", [16, 1024, [480, 640], None])
def test_sizes_of_both_forms_are_taken(size: object) -> None:
    assert parsed(size=size).size == size


@pytest.mark.parametrize("path", ["", "  ", "a\0b", "bad\udcff", 1.5, True, ["a"]])
def test_text_that_can_be_no_path_is_refused(path: object) -> None:
    with pytest.raises(CommandError, match="path"):
        parse(Example, {"path": path})


def test_a_folder_that_is_called_2024_is_a_path() -> None:
    assert parse(Example, DictConfig({"path": 2024})).path == "2024"


def test_one_path_stands_for_a_list_of_one_and_none_is_no_list() -> None:
    assert parsed(files="one").files == ["one"]
    assert parsed(names="cut.lan").names == ["cut.lan"]
    assert "files=[]" in refusal(files=[])


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31m"])
def test_a_name_holds_no_control_character(name: str) -> None:
    assert "give a name" in refusal(name=name)


def test_a_missing_key_says_what_it_is_for() -> None:
    with pytest.raises(CommandError, match=r"^path= is missing: a file; --help"):
        parse(Example, DictConfig({"path": None}))


def test_an_unknown_key_is_answered_with_a_near_one() -> None:
    assert refusal(cuont=1) == (
        "no setting is called cuont (did you mean count?); --help lists them"
    )


def test_every_wrong_key_has_a_line_of_its_own() -> None:
    lines = refusal(count=0, share=2, kind="c").splitlines()
    assert [line.strip().split("=")[0] for line in lines] == ["count", "share", "kind"]


def test_contradictions_are_said_in_words() -> None:
    assert refusal(flag=True, kind="b") == "flag=true and kind=b exclude each other"


def test_a_key_within_a_group_is_named_whole() -> None:
    assert refusal(inner={"rate": -1}) == "inner.rate=-1: give a number above 0"


def test_what_repeats_another_keys_value_is_that_keys_fault() -> None:
    config = OmegaConf.create({"path": "x", "count": 0, "limit": "${count}"})
    with pytest.raises(CommandError) as error:
        parse(Example, config)
    assert str(error.value) == "count=0: give a whole number from 1 to 8"


def test_a_part_of_a_config_is_parsed_while_the_rest_leads_nowhere() -> None:
    config = OmegaConf.create({"rate": 1.0, "other": "${nowhere}"})
    assert parse_part(Inner, config).rate == 1.0


def test_a_value_is_shown_short_and_printable() -> None:
    assert refusal(count="a\nb" + "c" * 200).count("\n") == 0
    assert len(refusal(count="c" * 200)) < 120


def test_types_are_told_in_words() -> None:
    fields = Example.model_fields
    assert allowed_values(fields["count"]) == "a whole number from 1 to 8"
    assert allowed_values(fields["limit"]) == "a whole number from 1, or null"
    assert allowed_values(fields["kind"]) == "one of a, b"
    assert allowed_values(fields["share"]) == "a number from 0 to below 1"
    assert in_words(Annotated[float, Ge(0), Lt(1)] | None) == "a number from 0 to below 1, or null"
