"""The one training loop: plain networks, click-guided ones and mask encoders run through it."""

import copy
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from lightning import LightningModule
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from src.datamodules.batch import Batch, InputKey
from src.errors import CommandError
from src.lit_modules.parameter_groups import FineTuning, parameter_groups, scale_rates
from src.lit_modules.random_state import random_state, require_random_state, restore_random_state
from src.lit_modules.schedule import IterationLR
from src.losses.terms import Late, late_terms
from src.metrics import (
    ImageResult,
    SegmentationMetrics,
    describe,
    record,
    require_no_trimap,
    summarize,
    use_foreign,
)
from src.networks.fusion import fuse_conv_bn
from src.networks.network import Network, Output
from src.processing import NonFiniteError, Processor
from src.processing.crop import Box

log = logging.getLogger(__name__)


class SegmentationModule(LightningModule):
    """Trains a network to separate the foreground of an image, and scores it at original size.

    Args:
        network: Maps the joined `inputs` to an `Output`.
        processor: The model's pre- and post-processing.
        inputs: Batch keys joined along the channel axis: `[image]` for plain networks,
            `[image, prompt]` for click-guided ones, `[mask]` for a ground-truth encoder.
        losses: Named loss terms, `None` where one is switched off; their sum is minimized.
        late_losses: `epochs`, `weights` and `compound` of `late_terms`: what changes in the last
            epochs; None: nothing.
        optimizer: Called with the parameters that learn, or with groups of them.
        lr_scheduler: Called with the optimizer and the total number of steps; stepped every step.
        param_groups: Factors on the optimizer's learning rate by fragments of parameters' names,
            as `parameter_groups` takes them; None for one rate.
        finetuning: How much slower than that trained weights go on learning; None: not at all.
        val_metrics: Names of the metrics of validation; cheap ones.
        test_metrics: Names of the metrics of testing.
        foreign_metrics: Those among them that are torchmetrics', see `src.metrics.use_foreign`.
        metric_workers: Processes that score test images beside the network; 0 scores in place.
        skeleton_cache: Folder that keeps the skeletons of targets, which HCE needs.
        identity: What the checkpoint says of itself: the network's config and name.
    """

    def __init__(
        self,
        network: Network,
        processor: Processor,
        inputs: Sequence[InputKey],
        losses: Mapping[str, nn.Module | None],
        optimizer: Callable[[Iterable[Any]], Optimizer],
        lr_scheduler: Callable[[Optimizer, int], LRScheduler] | None = None,
        param_groups: Mapping[str, float] | None = None,
        finetuning: FineTuning | None = None,
        val_metrics: Sequence[str] = ("mae", "max_f"),
        test_metrics: Sequence[str] = ("mae", "max_f", "s_measure"),
        foreign_metrics: Mapping[str, Mapping[str, Any]] | None = None,
        metric_workers: int = 0,
        skeleton_cache: str | None = None,
        identity: Mapping[str, Any] | None = None,
        late_losses: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.processor = processor
        self.inputs = list(inputs)
        terms = {name: term for name, term in losses.items() if term is not None}
        self.losses = nn.ModuleDict(late_terms(terms, **late_losses) if late_losses else terms)
        self.optimizer, self.lr_scheduler = optimizer, lr_scheduler
        self.param_groups = None if param_groups is None else dict(param_groups)
        self.finetuning = finetuning
        use_foreign(foreign_metrics)
        require_no_trimap([*val_metrics, *test_metrics])
        self.val_scores = SegmentationMetrics(list(val_metrics))
        self.base_scores = SegmentationMetrics(list(val_metrics))
        self.test_metrics = list(test_metrics)
        _require_of_maps(self.test_metrics)  # now, and not after training
        self.test_scores = nn.ModuleDict()
        # What a test found, by data set: the score of each image by its index, and each metric.
        self.tested_images: dict[str, dict[int, ImageResult]] = {}
        self.tested_values: dict[str, dict[str, float]] = {}
        self.metric_workers, self.skeleton_cache = metric_workers, skeleton_cache
        self.identity = dict(identity or {})
        self._random_state: dict[int, Any] | None = None
        self._trained: list[Network] = []
        if finetuning is not None:
            finetuning.prepare(network)

    def train(self, mode: bool = True) -> "SegmentationModule":
        super().train(mode)
        if self.finetuning is not None:
            self.finetuning.prepare(self.network)
        return self

    def forward(self, batch: Batch) -> Output:
        return self.network(torch.cat([batch[key] for key in self.inputs], dim=1))

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Make floats of what the workers shipped as bytes, on the device."""
        if not self.trainer.training:
            batch["image_uint8"] = batch["image"]
        return self.as_floats(batch)

    def as_floats(self, batch: Batch) -> Batch:
        """The batch with its image normalized and its maps in [0, 1], in place."""
        batch["image"] = self.processor.normalize(batch["image"])
        batch["mask"] = batch["mask"].float() / 255
        if "void" in batch:
            batch["void"] = batch["void"].float() / 255
        if "prompt" in batch:
            batch["prompt"] = batch["prompt"].float()
        return batch

    def on_train_epoch_start(self) -> None:
        self._weigh_losses()

    def _weigh_losses(self) -> None:
        """Give loss terms the epoch's weights; Lightning begins no epoch that it resumes."""
        for name, term in self.late_losses.items():
            before = term.weight
            term.begin_epoch(self.current_epoch, self.trainer.max_epochs or 0)
            if term.weight != before and self.trainer.is_global_zero:
                log.info(
                    "epoch %d: the loss term %s weighs %g", self.current_epoch, name, term.weight
                )

    @property
    def late_losses(self) -> dict[str, Late]:
        """The loss terms whose weights change in the last epochs, by name."""
        return {n: t for n, t in self.losses.items() if isinstance(t, Late) and t.epochs}

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        output = self(batch)
        terms = {name: term(output, batch) for name, term in self.losses.items()}
        loss = torch.stack(list(terms.values())).sum()
        size = len(batch["name"])
        self.log_dict({f"train/{name}": t.detach() for name, t in terms.items()}, batch_size=size)
        weights = {f"train/{name}_weight": term.weight for name, term in self.late_losses.items()}
        self.log_dict(weights, batch_size=size)
        self.log("train/loss", loss.detach(), prog_bar=True, batch_size=size)
        return loss

    def validation_step(
        self, batch: Batch, batch_idx: int, dataloader_idx: int = 0
    ) -> dict[str, list[Tensor]]:
        scores = (self.val_scores, self.base_scores)[dataloader_idx]
        return self.score(self.predictions(batch), batch, scores)

    def on_validation_epoch_end(self) -> None:
        datamodule = self.trainer.datamodule  # type: ignore[attr-defined]
        overfitting = self.trainer.overfit_batches  # type: ignore[attr-defined]
        whole = _all_batches(self.trainer.limit_val_batches) and not overfitting
        scored = {"val": self.val_scores, "base": self.base_scores}
        for name, dataset in datamodule.validation_sets.items():
            scores = scored[name]
            if not self.trainer.sanity_checking:
                scores.expected = len(dataset) if whole else None
                values = scores.compute()
                self._log_scores(name, values, prog_bar=True)
            scores.reset()

    def on_test_start(self) -> None:
        # As `Segmenter` runs it, so that a checkpoint's numbers are those of the maps it writes.
        # Outside of the module, which would hold everything twice, in checkpoints too.
        self._trained = [self.network]
        self.network = fuse_conv_bn(copy.deepcopy(self.network))
        datamodule = self.trainer.datamodule  # type: ignore[attr-defined]
        whole = _all_batches(self.trainer.limit_test_batches)
        cut = [name for name in self.test_metrics if not record(name).soft_target]
        if getattr(datamodule, "soft", False) and cut and self.trainer.is_global_zero:
            log.info(
                "data.soft=true, and %s cut the ground truth at > 128 (docs/protocols.md);"
                " metrics=matting does not",
                ", ".join(cut),
            )
        self.tested_images, self.tested_values = {}, {}
        self.test_scores = nn.ModuleDict(
            {
                name: SegmentationMetrics(
                    self.test_metrics,
                    workers=self.metric_workers,
                    skeleton_cache=self.skeleton_cache,
                    expected=len(dataset) if whole else None,
                )
                for name, dataset in datamodule.test_sets.items()
            }
        ).to(self.device)

    def test_step(
        self, batch: Batch, batch_idx: int, dataloader_idx: int = 0
    ) -> dict[str, list[Tensor]]:
        scores: Any = list(self.test_scores.values())[dataloader_idx]
        return self.score(self.predictions(batch), batch, scores)

    def on_test_epoch_end(self) -> None:
        for name in self.test_scores:
            self.tested_images[name] = self.image_results(name)
            self.tested_values[name] = values = self.test_values(name)
            self._log_scores(f"test/{name}", values)

    def _log_scores(self, name: str, values: dict[str, float], prog_bar: bool = False) -> None:
        # All processes computed them from the images of all. Lightning, which cannot know that, is
        # told to synchronize; the largest of equal values is each of them, the mean may be rounded.
        named = {f"{name}/{metric}": value for metric, value in values.items()}
        self.log_dict(named, prog_bar=prog_bar, sync_dist=True, reduce_fx="max")

    def on_test_end(self) -> None:
        if self._trained:
            self.network = self._trained.pop()

    def test_values(self, name: str) -> dict[str, float]:
        """Every metric of a test set, once its images are gathered; every process must call it."""
        return summarize(list(self.tested_images[name].values()), self.test_metrics)

    def image_results(self, name: str) -> dict[int, ImageResult]:
        """The score of each image of a test set by its index; every process must call it."""
        scores: Any = self.test_scores[name]
        found: dict[int, ImageResult] = scores.image_results()
        return found

    def protocol(self, metric: str) -> str:
        """How a metric of `test_values` is defined."""
        return describe(metric)

    def predictions(self, batch: Batch) -> list[Tensor]:
        """8-bit masks `(h, w)` of the images of an evaluation batch, at their original sizes."""
        return self.restored(self(batch).masks[0], batch)

    def restored(self, logits: Tensor, batch: Batch) -> list[Tensor]:
        """Logits `(B, 1, h, w)` as 8-bit masks at the original sizes, pasted back from crops."""
        return [self._one_restored(one[0], i, batch) for i, one in enumerate(logits)]

    def _one_restored(self, logits: Tensor, i: int, batch: Batch) -> Tensor:
        size = batch["mask_full"][i].shape
        try:
            if "box" not in batch:
                return self.processor.postprocess(logits, size)
            return self.processor.postprocess_crop(logits, Box(*batch["box"][i].tolist()), size)
        except NonFiniteError as error:
            raise NonFiniteError(f"{batch['name'][i]}: {error}") from None

    def make_optimizer(self) -> Optimizer:
        """The optimizer of what learns, in the recipe's groups."""
        if self.param_groups is None:
            optimizer = self.optimizer([p for p in self.network.parameters() if p.requires_grad])
        else:
            optimizer = self.optimizer(parameter_groups(self.network, self.param_groups))
            scale_rates(optimizer, self.param_groups)
        if self.finetuning is not None:
            self.finetuning.slow_down(optimizer, self.network)
        return optimizer

    def configure_optimizers(self) -> Any:
        optimizer = self.make_optimizer()
        if self.lr_scheduler is None:
            return optimizer
        scheduler = self.lr_scheduler(optimizer, int(self.trainer.estimated_stepping_batches))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["finecut"] = {
            **self.identity,
            "processor": self.processor.to_dict(),
            "inputs": self.inputs,
        }
        checkpoint["random_state"] = random_state()
        if (images := self._images_per_step()) is not None:
            checkpoint["images_per_step"] = images

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._random_state = checkpoint.get("random_state")
        if self._trainer is not None and self.trainer.state.fn == TrainerFn.FITTING:
            require_random_state(self._random_state)

    def on_train_start(self) -> None:
        for config in self.trainer.lr_scheduler_configs:
            if isinstance(
                config.scheduler, IterationLR
            ):  # the checkpoint's may have had another end
                config.scheduler.stretch(int(self.trainer.estimated_stepping_batches))
        if self._random_state is not None:
            restore_random_state(self._random_state)
            self._random_state = None
        self._begin_next_epoch()
        self._weigh_losses()

    def _begin_next_epoch(self) -> None:
        """Do not take up an epoch that was wholly over when the checkpoint was saved.

        With max_steps Lightning takes every checkpoint for one of the middle of an epoch: a run
        that had ended would begin with an empty epoch, and a longer run would lack one.
        """
        loop = self.trainer.fit_loop
        current: Any = loop.epoch_progress.current
        if loop.restarting and current.ready == current.started == current.processed:
            loop.epoch_loop.restarting = False

    def _images_per_step(self) -> int | None:
        """Images of one step on all processes: another number would need another rate."""
        if self._trainer is None or getattr(self.trainer, "datamodule", None) is None:
            return None
        batch = self.trainer.datamodule.batch_size  # type: ignore[attr-defined]
        return batch * self.trainer.accumulate_grad_batches * self.trainer.world_size

    def score(
        self, predictions: Sequence[Tensor], batch: Batch, scores: SegmentationMetrics
    ) -> dict[str, list[Tensor]]:
        """Add restored predictions to the scores; hand them on to the callbacks."""
        on_host = [prediction.cpu() for prediction in predictions]
        targets = [target.cpu() for target in batch["mask_full"]]
        voids = [void.cpu() for void in batch.get("void_full", [])] or None
        scores.update(on_host, targets, batch["index"], voids, batch.get("category"))
        return {"predictions": on_host}


def _require_of_maps(names: Iterable[str]) -> None:
    for name in names:
        if record(name).of_image is None:
            raise CommandError(f"{name} counts clicks: leave it out and set metrics.clicks=20")


def _all_batches(limit: float) -> bool:
    """Whether a limit of Lightning's is none: 1.0 is a share, 1 is a single batch."""
    return isinstance(limit, float) and limit == 1.0
