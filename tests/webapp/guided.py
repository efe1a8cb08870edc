"""Networks that are pointed at red things, and servers and clients around them: masks are known."""

from collections.abc import Mapping
from io import BytesIO
from typing import Any, Literal

import numpy as np
from fastapi.testclient import TestClient
from PIL import Image
from torch import Tensor

from src.datamodules.clicks import ExtremePoints, InsideOutsidePoints
from src.inference import Segmenter
from src.networks.network import Network, Output
from src.processing import Processor
from src.webapp.server import create_app
from src.webapp.session_store import SessionStore
from src.webapp.uploads import Limits

LIMITS = Limits(megapixels=1, megabytes=2)
_PROCESSOR = Processor((64, 64), scale="none", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


class RedObject(Network):
    """Logits that grow with red minus blue of `(B, 3 + K, h, w)` in 0..255."""

    def forward(self, x: Tensor) -> Output:
        return Output([(x[:, :1] - x[:, 2:3]) / 20], {})


class CorrectedRedObject(RedObject):
    """The same, which adds what is near clicks inside and takes away what is near those outside."""

    def __init__(self) -> None:
        super().__init__()
        self.encoded = 0

    def encode(self, x: Tensor) -> dict[str, Tensor]:
        self.encoded += 1
        return {"map": self(x).masks[0]}

    def decode(self, features: Mapping[str, Tensor], points: Tensor) -> Output:
        inside, outside = points[:, :1], points[:, 1:]
        return Output([features["map"] + 0.2 * (inside - outside)], {})


def guided(kind: Literal["extreme_points", "inside_outside", "refine"]) -> Segmenter:
    return Segmenter(
        CorrectedRedObject() if kind == "refine" else RedObject(),
        _PROCESSOR,
        name=f"red {kind}",
        inputs=("image", "prompt"),
        prompts=ExtremePoints(relax=10) if kind == "extreme_points" else InsideOutsidePoints(10, 2),
        device="cpu",
    )


def serving(
    segmenter: Segmenter, limits: Limits = LIMITS, keep: int = 8, **more: Any
) -> TestClient:
    app = create_app(SessionStore(segmenter, limits, keep=keep), **more)
    return TestClient(app, base_url="http://127.0.0.1:7860", raise_server_exceptions=False)


def two_reds(height: int = 90, width: int = 160) -> tuple[np.ndarray, np.ndarray]:
    """A picture `(H, W, 3)` with a red rectangle on the left and one on the right; numbers 1, 2."""
    labels = np.zeros((height, width), np.uint8)
    labels[20:50, 20:60] = 1
    labels[30:80, 100:130] = 2
    image = np.where(labels[..., None] > 0, (230, 40, 20), (20, 60, 220)).astype(np.uint8)
    return image, labels


def encoded(pixels: np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def decoded(data: bytes) -> np.ndarray:
    with Image.open(BytesIO(data)) as image:
        return np.array(image)


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def sent(client: TestClient, data: bytes, name: str = "photo.png") -> str:
    """Upload a file that must be accepted; returns where its resources are."""
    response = client.post("/api/pictures", params={"name": name}, content=data)
    assert response.status_code == 201, response.text
    return f"/api/pictures/{response.json()['id']}"
