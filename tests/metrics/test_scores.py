"""Scores of a data set: any batches, processes and workers give the same bits."""

import copy
import json
import logging
import pickle
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import start_processes
from torchmetrics import MetricCollection

from src.errors import UserError
from src.metrics import (
    HCE,
    MAE,
    EMeasure,
    FMeasure,
    IoU,
    MaxFDis,
    MeanRecall,
    NumberOfClicks,
    SegmentationMetric,
    SegmentationMetrics,
    SMeasure,
    _pool,
    describe,
    pool,
    records,
    score_image,
    score_pair,
)
from tests.metrics.numbered_pairs import make_pair

NAMES = ["mae", "s_measure", "max_f", "mean_f", "adp_f", "max_f_dis", "max_f_dis_255", "max_e"]
NAMES += ["mba", "hce", "iou", "weighted_f_raw"]
# Of the set's pixels; of a curve and of sums that each image keeps.
NAMES += ["whole_kappa", "max_msiou", "max_si_f_targets_raw"]
COUNT = 7


def update(scores: SegmentationMetrics, indices: list[int]) -> None:
    pairs = [make_pair(index) for index in indices]
    scores.update([torch.from_numpy(p) for p, _ in pairs], [t for _, t in pairs], indices)


def whole() -> SegmentationMetrics:
    scores = SegmentationMetrics(NAMES, expected=COUNT)
    update(scores, list(range(COUNT)))
    return scores


def test_one_image_equals_score_image() -> None:
    scores = SegmentationMetrics(NAMES)
    update(scores, [3])
    values = score_image(*make_pair(3), NAMES)
    assert scores.compute() == pytest.approx(values)
    assert scores.per_image() == [{"index": 3, **values}]


def test_order_batches_and_duplicates_change_no_bit() -> None:
    scores = SegmentationMetrics(NAMES, expected=COUNT)
    for batch in ([6, 2], [0], [5, 1, 4], [3, 6], [0]):
        update(scores, batch)
    assert scores.compute() == whole().compute()
    assert scores.per_image() == whole().per_image()
    assert [row["index"] for row in scores.per_image()] == list(range(COUNT))


def test_wrong_count_is_an_error() -> None:
    scores = SegmentationMetrics(["mae"], expected=COUNT)
    update(scores, [0, 1, 1])
    with pytest.raises(RuntimeError, match="2 different images, expected 7"):
        scores.compute()


def test_reset_starts_anew() -> None:
    scores = whole()
    first = scores.compute()
    scores.reset()
    scores.expected = 1
    update(scores, [0])
    assert scores.compute() != first
    assert len(scores.per_image()) == 1


def test_compute_goes_on_accumulating() -> None:
    scores = SegmentationMetrics(NAMES)
    update(scores, [0, 1, 2])
    scores.compute()
    update(scores, [3, 4, 5, 6])
    assert scores.compute() == whole().compute()


def test_max_f_dis_is_not_max_f() -> None:
    values = whole().compute()
    assert values["max_f_dis"] != values["max_f"]
    assert describe("max_f_dis") != describe("max_f")


def test_image_without_a_boundary_is_left_out_of_mba_and_counted() -> None:
    scores = SegmentationMetrics(["mba", "mae"])
    update(scores, [0, 1])
    alone = scores.compute()["mba"]
    black = np.zeros((30, 30), np.uint8)
    scores.update([black], [black], [2])
    assert scores.compute()["mba"] == alone
    assert scores.undefined() == {"mba": 1}
    assert np.isnan(scores.per_image()[2]["mba"])


def test_state_is_small() -> None:
    """4 KB an image, whatever its size: 5000 images of 4K in 25 MB."""
    scores = SegmentationMetrics([name for name in NAMES if records()[name].kept is None])
    update(scores, list(range(COUNT)))
    stored = sum(t.numel() * t.element_size() for t in getattr(scores, scores._state))
    assert stored / COUNT < 5000


def test_half_precision_does_not_reach_the_values() -> None:
    scores, module = whole(), torch.nn.Module()
    module.scores = scores
    module.to(torch.float16)
    assert scores.compute() == whole().compute()


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_copies_keep_what_was_scored(clone) -> None:  # type: ignore[no-untyped-def]
    assert clone(whole()).compute() == whole().compute()


def test_workers_give_the_same_bits() -> None:
    scores = SegmentationMetrics(NAMES, workers=2, expected=COUNT)
    for _ in range(2):
        for index in range(COUNT):
            update(scores, [index])
        assert scores.compute() == whole().compute()
        assert scores.per_image() == whole().per_image()
        scores.reset()


def test_worker_reports_its_error() -> None:
    scores = SegmentationMetrics(["mae"], workers=2)
    scores.update([np.zeros((4, 5), np.uint8)], [np.zeros((5, 4), np.uint8)], [0])
    with pytest.raises(ValueError, match="prediction is"):
        scores.compute()


def test_killed_worker_is_reported_and_replaced() -> None:
    scores = SegmentationMetrics(["mae"], workers=2)
    update(scores, [0])
    scores.compute()
    for process in list(pool(2)._processes.values()):
        process.kill()
        process.join()
    with pytest.raises(UserError, match="was killed, at image"):
        update(scores, list(range(1, 20)))
    scores.reset()
    update(scores, [0, 1])
    assert len(scores.per_image()) == 2


def test_scoring_imports_no_torch() -> None:
    code = (
        "import sys, numpy as np; from src.metrics import score_image; "
        "m = np.zeros((8, 8), np.uint8); score_image(m, m, ['mae', 'hce', 'mba', 'weighted_f']); "
        "import src.metrics._pool, src.evaluation.maps; "
        "print([n for n in ('torch', 'torchmetrics', 'lightning', 'timm') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_unknown_name_lists_the_known() -> None:
    with pytest.raises(UserError, match=r"no metric 'maxf'; did you mean one of max_f, "):
        SegmentationMetrics(["maxf"])


def test_probabilities_are_refused() -> None:
    with pytest.raises(TypeError, match="8 bit"):
        SegmentationMetrics(["mae"]).update(
            [torch.rand(4, 4)], [torch.zeros(4, 4, dtype=torch.uint8)]
        )


def test_batch_tensors_and_no_index() -> None:
    metric = MAE()
    maps = torch.from_numpy(np.stack([make_pair(0)[0][:40, :40], make_pair(1)[0][:40, :40]]))
    metric.update(maps[:, None], maps[:, None])
    metric.update(maps[:, None], 255 - maps[:, None])
    assert len(metric.per_image()) == 4
    assert metric.compute().dtype == torch.float64


def test_metrics_of_a_collection_are_not_merged() -> None:
    """MetricCollection merges metrics whose first states agree; a perfect map makes all agree."""
    measures = [FMeasure(), SMeasure(), MaxFDis(), MaxFDis(255), EMeasure("mean"), MAE(), HCE()]
    collection = MetricCollection({m.name: m for m in measures})
    target = make_pair(0)[1]
    collection.update([target], [target], [0])
    update_all = [make_pair(index) for index in range(1, COUNT)]
    collection.update([p for p, _ in update_all], [t for _, t in update_all], list(range(1, COUNT)))
    ours = SegmentationMetrics([m.name for m in measures])
    ours.update([target], [target], [0])
    update(ours, list(range(1, COUNT)))
    assert {name: float(v) for name, v in collection.compute().items()} == ours.compute()
    assert not MAE().higher_is_better
    assert FMeasure().higher_is_better


def test_every_metric_is_a_metric_of_its_own() -> None:
    """By its name, also where a set's value is made of what each image keeps."""
    names = ["whole_ber", "auc_pr", "max_msiou_pysod", "whole_si_f", "context", "relax_f", "conn"]
    singles = {name: SegmentationMetric(name) for name in names}
    prediction, target = make_pair(0)
    for name, metric in singles.items():
        metric.update([prediction], [target], [0])
        value = score_image(prediction, target, [name])[name]
        assert float(metric.compute()) == pytest.approx(value, abs=1e-15), name
        assert metric.higher_is_better == records()[name].higher_is_better
    collection = MetricCollection(dict(singles))
    collection.reset()
    update_all = [make_pair(index) for index in range(COUNT)]
    collection.update([p for p, _ in update_all], [t for _, t in update_all])
    ours = SegmentationMetrics(names)
    update(ours, list(range(COUNT)))
    assert {name: float(v) for name, v in collection.compute().items()} == ours.compute()


def test_void_and_categories() -> None:
    prediction, target = np.zeros((10, 10), np.uint8), np.zeros((10, 10), np.uint8)
    target[:, :6] = 255
    prediction[:, :3] = 255
    void = np.zeros_like(target)
    void[:, 4:6] = 255
    metric, recall = IoU(), MeanRecall("70")
    metric.update([prediction], [target], [0], voids=[void])
    assert metric.compute() == pytest.approx(3 / 4)
    recall.update([prediction] * 3, [target] * 3, [0, 1, 2], [void, void, void * 0], [1, 1, 2])
    assert recall.compute() == pytest.approx((1 + 0) / 2)


def test_number_of_clicks() -> None:
    metric = NumberOfClicks(0.85, expected=3)
    metric.update([[0.2, 0.9], [0.85], [0.1] * 30], [0, 1, 2])
    metric.update([[0.9]], [1])
    assert metric.compute() == pytest.approx((2 + 1 + 20) / 3)


SHARDS = {
    2: [[0, 2, 4, 6], [1, 3, 5, 0]],  # padded by a duplicate, as a distributed sampler does
    3: [[5, 6, 0, 1, 2, 3], [], [4]],  # uneven, and one process without an image
}


def bits(scores: SegmentationMetrics) -> str:
    values = {name: value.hex() for name, value in scores.compute().items()}
    return json.dumps([values, scores.per_image(), scores.undefined()])


def _score_shards(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=3)
    groups = {2: dist.new_group([0, 1]), 3: dist.group.WORLD}
    for world, shards in SHARDS.items():
        if rank < world:
            scores = SegmentationMetrics(NAMES, expected=COUNT, process_group=groups[world])
            for index in shards[rank]:
                update(scores, [index])
            (Path(folder) / f"{world}_{rank}.json").write_text(bits(scores))
    dist.destroy_process_group()


# Python 3.12 warns of forks beside threads, which data loaders make too.
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.slow
def test_one_two_and_three_processes_give_the_same_bits(tmp_path: Path) -> None:
    # Forked as a loader's workers are: new ones would import torch for twenty seconds.
    start_processes(_score_shards, (str(tmp_path),), nprocs=3, start_method="fork")
    written = [path.read_text() for path in tmp_path.glob("*.json")]
    assert len(written) == 2 + 3
    assert set(written) == {bits(whole())}


def test_metrics_are_compiled_by_one_process_each_and_said_where_it_takes_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    compiled: list[str] = []

    def compile_slowly(*maps: object) -> None:
        compiled.extend(maps[-1])  # type: ignore[arg-type]
        time.sleep(0.1)

    monkeypatch.setattr(_pool, "score_pair", compile_slowly)
    monkeypatch.setattr(_pool, "_PATIENCE", 0.01)
    with caplog.at_level(logging.INFO):
        _pool.compile_kernels(["mae", "mae_raw", "hce", "max_f_raw"], 1)
    assert compiled == ["mae", "hce", "max_f_raw"]  # of two that share their code, one
    assert "compiling metrics, once" in caplog.text


def test_the_example_reaches_every_kernel() -> None:
    values = score_pair(*_pool._example(), ["weighted_f", "mba", "biou", "hce", "mae"]).values
    assert all(0 < value < float("inf") for value in values.values())
