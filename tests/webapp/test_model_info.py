"""What the page knows of its model: from the registry where the weights are a released file."""

import json
from hashlib import sha256
from pathlib import Path

import pytest

from src.export.export import UNKNOWN
from src.webapp.model_info import describe_model
from src.webapp.uploads import Limits
from src.weights.registry import released
from tests.inference.tiny import finder
from tests.webapp.guided import guided

LIMITS = Limits(12, 30)


def weights(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_bytes(b"weights")
    return path


def test_a_network_without_weights_says_what_it_is() -> None:
    said = describe_model(finder(name="mine"), LIMITS)
    assert said == {
        "model": "mine",
        "clicks": None,
        "size": "64 × 64",
        "input": [64, 64],
        "parameters": 3,
        "device": "cpu, fp32",
        "weights": "",
        "sha256": "",
        "license": UNKNOWN,
        "trained_on": None,
        "page": None,
        "max_megapixels": 12,
        "max_upload_mb": 30,
    }
    assert json.loads(json.dumps(said)) == said


def test_a_guided_network_says_how() -> None:
    assert describe_model(guided("refine"), LIMITS)["clicks"] == "refine"


def test_weights_of_ones_own_are_named_with_their_hash(tmp_path: Path) -> None:
    said = describe_model(finder(weights=weights(tmp_path, "best.ckpt")), LIMITS, license="mine")
    assert (said["weights"], said["sha256"]) == ("best.ckpt", sha256(b"weights").hexdigest())
    assert (said["license"], said["trained_on"], said["page"]) == ("mine", None, None)


# None of them has a stated hash; of the second no license is stated either.
@pytest.mark.parametrize("name", ["u2net_portrait", "dextr_coco"])
@pytest.mark.parametrize("license", [None, "asked for"])
def test_released_weights_lead_to_their_page(
    tmp_path: Path, name: str, license: str | None
) -> None:
    known = released()[name]
    said = describe_model(finder(weights=weights(tmp_path, known.file)), LIMITS, license)
    assert said["page"] == known.page
    assert said["trained_on"] == list(known.trained_on or ())
    assert said["license"] == (license or known.license or UNKNOWN)


def test_another_file_of_a_released_name_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = weights(tmp_path, "u2net.pth")
    said = describe_model(finder(weights=file), LIMITS)
    assert (said["page"], said["trained_on"], said["license"]) == (None, None, UNKNOWN)

    own = released()["u2net"]._replace(sha256=sha256(b"weights").hexdigest())
    monkeypatch.setitem(released(), "u2net", own)
    assert describe_model(finder(weights=file), LIMITS)["page"] == own.page
