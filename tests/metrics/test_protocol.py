"""No two metrics share a protocol, and numbers of two protocols do not meet."""

import pytest
import yaml

from src.errors import UserError
from src.metrics import describe, higher_is_better, records, require_same, score_image
from tests.metrics.numbered_pairs import make_pair
from tests.running import ROOT


def test_every_name_but_those_of_clicks_scores_an_image() -> None:
    names = [name for name, one in records().items() if one.of_image is not None]
    prediction, target = make_pair(0)
    assert set(score_image(prediction, target, names, trimap=target)) == set(names)


@pytest.mark.parametrize("group", ["all", "everything", "matting"])
def test_a_group_of_the_config_names_metrics(group: str) -> None:
    names = yaml.safe_load((ROOT / f"conf/metrics/{group}.yaml").read_text())["test"]
    assert len(set(names)) == len(names)
    assert set(names) <= set(records())
    assert not any(records()[name].needs_trimap for name in names)
    assert {records()[name].soft_target for name in names} == {group == "matting"}


def test_click_measures_say_where_to_go() -> None:
    with pytest.raises(UserError, match=r"metrics\.clicks=20"):
        score_image(*make_pair(0), ["noc85"])


def test_protocols_differ() -> None:
    """`iou` is `iou_50` and says the same; the id tells even them apart."""
    lines = [describe(name) for name in records()]
    assert len(set(lines)) == len(lines)


def test_two_rules_of_max_f_cannot_be_compared() -> None:
    ours = {"max_f": describe("max_f")}
    require_same(ours, dict(ours), ["max_f"])
    with pytest.raises(UserError, match="two protocols"):
        require_same(ours, {"max_f": describe("max_f_dis")}, ["max_f"])
    with pytest.raises(UserError, match="not stored"):
        require_same(ours, {}, ["max_f"])


def test_direction() -> None:
    assert higher_is_better("max_f_raw")
    assert not any(map(higher_is_better, ["mae", "mae_raw", "hce", "error_percent", "noc90"]))
