"""Where in an epoch a checkpoint may be written."""

from lightning import Trainer


def validation_follows(trainer: Trainer, batch_idx: int) -> bool:
    """Whether a validation or the end of the epoch comes right after this batch.

    Lightning leaves that validation out when it resumes from a checkpoint written between the two
    (seen in 2.6): the best checkpoint and early stopping would never know of it.
    """
    loop = trainer.fit_loop
    if loop.epoch_loop.batch_progress.is_last_batch:
        return True
    count = loop.total_batch_idx if trainer.check_val_every_n_epoch is None else batch_idx
    every = trainer.val_check_batch
    return every is not None and (count + 1) % every == 0
