"""Scores a folder of maps, or a checkpoint: `python evaluate.py maps=DIR truth=DIR output=DIR`."""

import sys

import hydra
from omegaconf import DictConfig

from src.command_line import as_overrides
from src.runs import door

door.register()


@hydra.main(version_base=None, config_path="conf", config_name="evaluate")
def main(cfg: DictConfig) -> None:
    if cfg.maps is None:
        door.start_evaluation(cfg)
        return
    # Neither torch nor Lightning is imported on this path.
    from src.evaluation.maps import evaluate_maps

    sys.exit(
        evaluate_maps(
            maps=cfg.maps,
            truth=cfg.truth,
            output=cfg.output,
            metrics=list(cfg.metrics.test),
            allow_missing=cfg.allow_missing,
            resize=cfg.resize,
            compare=cfg.compare,
            workers=cfg.workers,
            worst=cfg.worst,
            map_suffix=cfg.map_suffix,
            mask_suffix=cfg.mask_suffix,
        )
    )


if __name__ == "__main__":
    sys.argv[1:] = as_overrides(sys.argv[1:])
    main()
