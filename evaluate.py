"""Scores a folder of maps, or a checkpoint: `python evaluate.py maps=DIR truth=DIR output=DIR`."""

import sys

import hydra
from omegaconf import DictConfig

from src import cli
from src.runs import door
from src.settings.commands import EvaluateCheckpointSettings, EvaluateSettings
from src.settings.parse import parse_part

door.register()


@hydra.main(version_base=None, config_path="conf", config_name="evaluate")
def main(cfg: DictConfig) -> None:
    if cfg.maps is None:
        parse_part(EvaluateCheckpointSettings, cfg)
        door.start_evaluation(cfg)
        return
    settings = parse_part(EvaluateSettings, cfg)
    # Neither torch nor Lightning is imported on this path.
    from src.evaluation.maps import evaluate_maps

    sys.exit(
        evaluate_maps(
            maps=settings.maps,
            truth=settings.truth,
            output=settings.output,
            metrics=settings.metrics.test,
            allow_missing=settings.allow_missing,
            resize=settings.resize,
            compare=settings.compare,
            workers=settings.workers,
            worst=settings.worst,
        )
    )


if __name__ == "__main__":
    cli.run(main)
