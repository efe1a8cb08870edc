"""Click-guided refinement: a simulated user corrects the network, in training and in testing."""

from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import Ge
from torch import Tensor, nn

from src.datamodules.batch import Batch
from src.datamodules.clicks import add_click, next_click
from src.lit_modules.segmentation import SegmentationModule
from src.losses.interactive import join_passes
from src.metrics import ClickScores, jaccard
from src.networks.network import Output

THRESHOLD = 128  # of an 8-bit prediction


class RefinementModule(SegmentationModule):
    """Trains and tests networks that take further clicks without running their backbone again.

    The network answers `encode(image_and_prompt) -> features` and `decode(features, prompt) ->
    Output`. After each pass the simulated user clicks into the middle of the largest error, and
    the click joins the inside or the outside map (IOG, section 3.3).

    Args:
        training_clicks: Simulated in each training step; the paper's is 1.
        test_clicks: After which the IoU is reported; NoC's cap is one more, the prompt's click.
        authors_transposed: Look the click's side up as the authors' code does, see `next_click`.
    """

    def __init__(
        self,
        *args: Any,
        training_clicks: Annotated[int, Ge(0)] = 1,
        test_clicks: Annotated[int, Ge(0)] = 3,
        authors_transposed: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.training_clicks, self.test_clicks = training_clicks, test_clicks
        self.authors_transposed = authors_transposed
        self.click_scores = nn.ModuleDict()

    def forward(self, batch: Batch) -> Output:
        return join_passes(self.passes(batch, self.training_clicks if self.training else 0))

    def passes(self, batch: Batch, clicks: int) -> list[Output]:
        """The first prediction and one more after each click; the backbone runs once."""
        features = self.network.encode(torch.cat([batch[key] for key in self.inputs], dim=1))
        prompt = batch["prompt"]
        outputs = [self.network.decode(features, prompt)]
        for _ in range(clicks):
            prompt = self._corrected(prompt, outputs[-1].masks[0], batch)
            outputs.append(self.network.decode(features, prompt))
        return outputs

    def on_test_start(self) -> None:
        super().on_test_start()
        made = {}
        for name, scores in self.test_scores.items():
            expected: Any = scores.expected
            made[name] = ClickScores(self.test_clicks, expected)
        self.click_scores = nn.ModuleDict(made).to(self.device)

    def test_step(
        self, batch: Batch, batch_idx: int, dataloader_idx: int = 0
    ) -> dict[str, list[Tensor]]:
        outputs = self.passes(batch, self.test_clicks)
        restored = [self.restored(output.masks[0], batch) for output in outputs]
        images = range(len(batch["name"]))
        ious = [[_iou(batch, i, masks[i]) for masks in restored] for i in images]
        clicks: Any = list(self.click_scores.values())[dataloader_idx]
        clicks.update(ious, batch["index"].tolist())
        scores: Any = list(self.test_scores.values())[dataloader_idx]
        return self.score(restored[0], batch, scores)

    def test_values(self, name: str) -> dict[str, float]:
        return super().test_values(name) | self.click_scores[name].compute()  # type: ignore[operator]

    def protocol(self, metric: str) -> str:
        clicks = ClickScores(self.test_clicks).protocols
        return clicks[metric] if metric in clicks else super().protocol(metric)

    def _corrected(self, prompt: Tensor, logits: Tensor, batch: Batch) -> Tensor:
        """Add a click to each image's prompt where its prediction is most wrong."""
        predicted = (logits.detach()[:, 0] > 0).cpu().numpy()
        targets = (batch["mask"][:, 0] >= 0.5).cpu().numpy()
        voids = (batch["void"][:, 0] > 0.5).cpu().numpy() if "void" in batch else None
        maps = prompt.detach().cpu().numpy()
        corrected = []
        for i, (prediction, target) in enumerate(zip(predicted, targets, strict=True)):
            # The image's own index seeds the choice between equal points: resumable, any rank.
            rng = np.random.default_rng(int(batch["index"][i]))
            void = None if voids is None else voids[i]
            click = next_click(prediction, target, rng, void, self.authors_transposed)
            corrected.append(maps[i] if click is None else add_click(maps[i], click))
        return torch.from_numpy(np.stack(corrected)).to(prompt)


def _iou(batch: Batch, i: int, mask: Tensor) -> float:
    target = batch["mask_full"][i].cpu().numpy() > THRESHOLD
    void = batch["void_full"][i].cpu().numpy() > THRESHOLD if "void_full" in batch else None
    return jaccard(mask.cpu().numpy() >= THRESHOLD, target, void)
