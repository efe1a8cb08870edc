"""Click-guided networks: trained as any other, and tested with the interactive field's clicks."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, NamedTuple

import numpy as np
from annotated_types import Ge
from torch import Tensor, nn

from src.datamodules.batch import Batch
from src.datamodules.clicks import Click
from src.datamodules.simulated_user import Jitter, SimulatedUser
from src.errors import CommandError
from src.evaluation.clicks import FOREGROUND_ABOVE, THRESHOLD, click_through
from src.lit_modules.segmentation import SegmentationModule
from src.metrics import STARTS, ClickCurves, ClickScores, ImageResult, Start, describe_clicks
from src.networks.network import Output
from src.processing import NonFiniteError
from src.processing.crop import Box

log = logging.getLogger(__name__)

# The prompt's points are clicks of the object, and the list of IoUs begins with the last of them.
STARTS_OF: Mapping[str, Start] = {"extreme_points": "prompt4", "inside_outside": "prompt3"}


# Clicks so far, in pixels of the image, to logits `(h, w)` of the crop.
Corrector = Callable[[Sequence[Click]], Tensor]


class FirstPass(NamedTuple):
    """What the network makes of a batch and its prompts; features only where it refines."""

    output: Output
    features: dict[str, Tensor]


class InteractiveModule(SegmentationModule):
    """Trains and tests networks that see a prompt; if asked, also counts the clicks of objects.

    A network that takes no further clicks keeps its first mask: its NoC is that of its prompt's
    points, or 20.

    Args:
        clicks: Of each test object, the prompt's points counted; 20 for NoC. 0 counts none.
        jitter_runs: Users with jitter beside the one without, for networks that refine.

    Raises:
        CommandError: Clicks or runs that this network cannot be given.
    """

    def __init__(
        self,
        *args: Any,
        clicks: Annotated[int, Ge(0)] = 0,
        jitter_runs: Annotated[int, Ge(0)] = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.clicks, self.jitter_runs = clicks, jitter_runs
        self.click_scores = nn.ModuleDict()
        self.start: Start = STARTS_OF[self.identity["prompts"]["kind"]] if clicks else "nothing"
        if clicks and clicks < STARTS[self.start].first:
            raise CommandError(
                f"metrics.clicks={clicks}: the prompt alone counts as {STARTS[self.start].first} "
                "clicks; give 20, the literature's number, or 0"
            )
        if jitter_runs and not clicks:
            raise CommandError(f"metrics.jitter_runs={jitter_runs} needs metrics.clicks=20")
        if jitter_runs and not self.network.refines:
            raise CommandError(
                f"metrics.jitter_runs={jitter_runs}: this model takes no clicks behind its prompt, "
                "so that there is nothing to jitter; iog_refine does"
            )

    def on_test_start(self) -> None:
        super().on_test_start()
        made = {}
        for name, scores in self.test_scores.items() if self.clicks else ():
            expected: Any = scores.expected
            given = None if self.network.refines else STARTS[self.start].first
            made[name] = ClickScores(
                self.start, self.clicks, self.jitter_runs, given=given, expected=expected
            )
        self.click_scores = nn.ModuleDict(made).to(self.device)

    def test_step(
        self, batch: Batch, batch_idx: int, dataloader_idx: int = 0
    ) -> dict[str, list[Tensor]]:
        begun = time.perf_counter()
        first = self.first_pass(batch)
        if self.clicks:
            if batch_idx == 0 and "start_mask_full" in batch and self.global_rank == 0:
                self._say_that_masks_are_not_used(list(self.test_scores)[dataloader_idx])
            self._click_objects(first, batch, begun, dataloader_idx)
        scores: Any = list(self.test_scores.values())[dataloader_idx]
        return self.score(self.prompt_masks(first, batch, dataloader_idx), batch, scores)

    def first_pass(self, batch: Batch) -> FirstPass:
        """The network's answer to the prompts of a batch."""
        return FirstPass(self(batch), {})

    def prompt_masks(self, first: FirstPass, batch: Batch, dataloader_idx: int) -> list[Tensor]:
        """8-bit masks `(h, w)` of the prompts of a test batch, at their original sizes."""
        return self.restored(first.output.masks[0], batch)

    def corrector(self, first: FirstPass, batch: Batch, i: int) -> Corrector:
        """Answers one user of the batch's object `i`: all clicks so far, one more each time."""
        raise NotImplementedError("this network takes no further clicks")

    def test_values(self, name: str) -> dict[str, float]:
        if name not in self.click_scores:
            return super().test_values(name)
        scores: Any = self.click_scores[name]
        return super().test_values(name) | scores.compute()

    def protocol(self, metric: str) -> str:
        return describe_clicks(metric, self.jitter_runs)

    def image_results(self, name: str) -> dict[int, ImageResult]:
        found = super().image_results(name)
        if name not in self.click_scores:
            return found
        scores: Any = self.click_scores[name]
        clicked = scores.of_objects()
        return {i: replace(one, values=one.values | clicked[i]) for i, one in found.items()}

    def click_curves(self, names: Mapping[str, Sequence[str]]) -> dict[str, ClickCurves]:
        """The IoUs of all objects by test set; none where no clicks were asked for.

        Every process must call it.

        Args:
            names: Of the objects of each set, by index.
        """
        scored: Any = self.click_scores
        return {name: scores.curves(names[name]) for name, scores in scored.items()}

    def _say_that_masks_are_not_used(self, test_set: str) -> None:
        """No network here takes a mask: its clicks begin with its prompt, whatever the set has."""
        log.warning(
            "%s: its start masks are not used: %s takes no mask and begins with its prompt "
            "(noc90%s); src.evaluation.clicks.evaluate_clicks(start='mask') measures any network "
            "that does",
            *(test_set, self.network.title or type(self.network).__name__),
            STARTS[self.start].suffix,
        )

    def _click_objects(
        self, first: FirstPass, batch: Batch, begun: float, dataloader_idx: int
    ) -> None:
        scores: Any = list(self.click_scores.values())[dataloader_idx]
        restored = [
            self._probability(logits[0], batch, i) > THRESHOLD
            for i, logits in enumerate(first.output.masks[0])
        ]
        shared = (time.perf_counter() - begun) / len(restored)
        for i, prediction in enumerate(restored):
            begun = time.perf_counter()
            curve = self._curve(first, batch, i, prediction, None)
            seconds = shared + time.perf_counter() - begun
            jitters = [Jitter(run, batch["name"][i]) for run in range(self.jitter_runs)]
            jittered = [self._curve(first, batch, i, prediction, jitter) for jitter in jitters]
            scores.update(int(batch["index"][i]), np.stack([curve, *jittered]), seconds)

    def _curve(
        self,
        first: FirstPass,
        batch: Batch,
        i: int,
        prediction: np.ndarray,
        jitter: Jitter | None,
    ) -> np.ndarray:
        target = batch["mask_full"][i].cpu().numpy() > FOREGROUND_ABOVE
        voids = batch.get("void_full")
        void = None if voids is None else voids[i].cpu().numpy() > FOREGROUND_ABOVE
        user = SimulatedUser(target, void, jitter)
        if not self.network.refines:
            length = self.clicks + 1 - STARTS[self.start].first
            return np.full(length, user.iou(prediction), np.float32)

        logits_after = self.corrector(first, batch, i)

        def answer(clicks: Sequence[Click]) -> np.ndarray:
            return self._probability(logits_after(clicks), batch, i)

        return click_through(answer, user, self.start, self.clicks, prediction)

    def _probability(self, logits: Tensor, batch: Batch, i: int) -> np.ndarray:
        """Float32 of the image's size, pasted back from the crop."""
        box = Box(*batch["box"][i].tolist())
        try:
            return self.processor.probabilities_of_crop(logits, box, batch["mask_full"][i].shape)
        except NonFiniteError as error:
            raise NonFiniteError(f"{batch['name'][i]}: {error}") from None
