"""What `finecut evaluate` does: scores maps, or a checkpoint on a data set, or reads results."""

from omegaconf import DictConfig

from src.settings.commands import EvaluateCheckpointSettings, EvaluateSettings
from src.settings.parse import parse_part


def main(cfg: DictConfig) -> int:
    """Score as the config says; returns the exit code, which for a checkpoint is a run's."""
    if cfg.get("maps") is None and cfg.get("results") is None:
        from src.training import cli
        from src.training.evaluate_checkpoint import as_test_run

        parse_part(EvaluateCheckpointSettings, cfg)
        cli.main(as_test_run(cfg))
    settings = parse_part(EvaluateSettings, cfg)
    # Neither torch nor Lightning is imported on this path, unless a foreign metric is asked for.
    from src.evaluation.maps import evaluate_maps
    from src.evaluation.matching import Naming
    from src.evaluation.shards import parse_shard
    from src.metrics import use_foreign

    use_foreign(settings.metrics.extra)
    if settings.results is not None:
        from src.evaluation.stored_methods import tabulate_results

        return tabulate_results(
            settings.results,
            settings.output,
            settings.metrics.test,
            settings.allow_missing,
            settings.emphasize,
        )
    assert settings.maps is not None
    return evaluate_maps(
        maps=settings.maps,
        target=settings.ground_truth,
        output=settings.output,
        metrics=settings.metrics.test,
        allow_missing=settings.allow_missing,
        resize=settings.resize,
        compare=settings.compare,
        workers=settings.workers,
        worst=settings.worst,
        naming=Naming(
            settings.map_prefix or "",
            settings.map_suffix or "",
            settings.mask_prefix or "",
            settings.mask_suffix or "",
            settings.trimap_prefix or "",
            settings.trimap_suffix or "",
        ),
        emphasize=settings.emphasize,
        trimaps=settings.trimaps,
        shard=parse_shard(settings.shard),
    )
