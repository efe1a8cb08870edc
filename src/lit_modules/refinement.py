"""Click-guided refinement: a simulated user corrects the network, in training and in testing."""

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import Ge
from torch import Tensor, nn

from src.datamodules.batch import Batch
from src.datamodules.clicks import Click, add_click, next_click
from src.lit_modules.interactive import Corrector, FirstPass, InteractiveModule
from src.losses.interactive import join_passes
from src.metrics import CorrectionScores, jaccard
from src.networks.network import Output
from src.processing.crop import Box, points_in_crop

THRESHOLD = 128  # of an 8-bit prediction


class RefinementModule(InteractiveModule):
    """Trains and tests networks that take further clicks without running their backbone again.

    The network answers `encode(image_and_prompt) -> features` and `decode(features, prompt) ->
    Output`. After each pass the simulated user clicks into the middle of the largest error, and
    the click joins the inside or the outside map (IOG, section 3.3).

    Args:
        training_clicks: Simulated in each training step; the paper's is 1.
        test_clicks: IOG's own corrections in testing, after each of which the IoU is reported.
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
        self.correction_scores = nn.ModuleDict()

    def forward(self, batch: Batch) -> Output:
        return join_passes(self.passes(batch, self.training_clicks if self.training else 0))

    def passes(self, batch: Batch, clicks: int) -> list[Output]:
        """The first prediction and one more after each click; the backbone runs once."""
        return self._passes(self.first_pass(batch), batch, clicks)

    def first_pass(self, batch: Batch) -> FirstPass:
        features = self.network.encode(torch.cat([batch[key] for key in self.inputs], dim=1))
        return FirstPass(self.network.decode(features, batch["prompt"]), features)

    def corrector(self, first: FirstPass, batch: Batch, i: int) -> Corrector:
        """As `InteractiveModule`; each click is drawn once, and the backbone has run.

        A click outside of the crop is not seen: the user gives one where nothing is wrong.
        """
        box, size = Box(*batch["box"][i].tolist()), self.processor.size
        features = {name: value[i : i + 1] for name, value in first.features.items()}
        prompt, drawn = batch["prompt"][i].cpu().numpy(), 0

        def logits_after(clicks: Sequence[Click]) -> Tensor:
            nonlocal prompt, drawn
            for x, y, inside in clicks[drawn:]:
                if box.x_min <= x <= box.x_max and box.y_min <= y <= box.y_max:
                    ((column, row),) = points_in_crop([(x, y)], box, size).tolist()
                    prompt = add_click(prompt, Click(column, row, inside))
            drawn = len(clicks)
            maps = torch.from_numpy(prompt)[None].to(batch["prompt"])
            return self.network.decode(features, maps).masks[0][0, 0]

        return logits_after

    def _passes(self, first: FirstPass, batch: Batch, clicks: int) -> list[Output]:
        outputs, prompt = [first.output], batch["prompt"]
        for _ in range(clicks):
            prompt = self._corrected(prompt, outputs[-1].masks[0], batch)
            outputs.append(self.network.decode(first.features, prompt))
        return outputs

    def on_test_start(self) -> None:
        super().on_test_start()
        made = {}
        for name, scores in self.test_scores.items():
            expected: Any = scores.expected
            made[name] = CorrectionScores(self.test_clicks, expected)
        self.correction_scores = nn.ModuleDict(made).to(self.device)

    def prompt_masks(self, first: FirstPass, batch: Batch, dataloader_idx: int) -> list[Tensor]:
        outputs = self._passes(first, batch, self.test_clicks)
        restored = [self.restored(output.masks[0], batch) for output in outputs]
        images = range(len(batch["name"]))
        ious = [[_iou(batch, i, masks[i]) for masks in restored] for i in images]
        corrections: Any = list(self.correction_scores.values())[dataloader_idx]
        corrections.update(ious, batch["index"].tolist())
        return restored[0]

    def test_values(self, name: str) -> dict[str, float]:
        corrected: Any = self.correction_scores[name]
        return super().test_values(name) | corrected.compute()

    def protocol(self, metric: str) -> str:
        corrections = CorrectionScores(self.test_clicks).protocols
        return corrections[metric] if metric in corrections else super().protocol(metric)

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
