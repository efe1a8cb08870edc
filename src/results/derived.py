"""Metrics that a results folder does not state and that follow from what it holds of each image."""

from collections.abc import Sequence
from dataclasses import replace

from src.metrics import (
    ImageResult,
    describe,
    is_same_protocol,
    records,
    score_histograms,
    summarize,
)
from src.results.folder import ResultsFolder


def is_stored(folder: ResultsFolder, test_set: str, metric: str) -> bool:
    """Whether a data set's value is there, and by the protocol of today."""
    protocol = folder.protocol.get(metric, "")
    return metric in folder.values[test_set] and is_same_protocol(
        metric, protocol, describe(metric)
    )


def follows(folder: ResultsFolder, test_set: str, metric: str) -> bool:
    """Whether a data set's value, if it is not stored, follows from histograms or kept numbers.

    Kept numbers count where a metric of today's protocol has left them.

    Raises:
        UserError: A file is damaged.
    """
    known = records().get(metric)
    if known is None or not folder.has_histograms:
        return False
    if known.of_histogram is not None:
        return True
    kept = known.kept
    if kept is None or known.of_set is None or kept.name not in folder.kept[test_set]:
        return False
    return any(
        (source := records()[name].kept) is not None
        and source.name == kept.name
        and is_stored(folder, test_set, name)
        for name in folder.values[test_set]
        if name in records()
    )


def derive(
    folder: ResultsFolder, test_set: str, metrics: Sequence[str]
) -> tuple[dict[str, float], list[ImageResult]]:
    """A data set's values by those of the metrics that are stored or follow, and its images.

    Values of single images are those that are stored or follow from their histograms.

    Raises:
        UserError: A file is damaged.
    """
    images = folder.image_results(test_set)
    stored = [name for name in metrics if is_stored(folder, test_set, name)]
    lacking = [name for name in metrics if name not in stored and follows(folder, test_set, name)]
    of_images = [name for name in lacking if records()[name].of_histogram is not None]
    if of_images:
        found = score_histograms(of_images, [image.histogram for image in images])
        images = [
            replace(image, values=image.values | more.values)
            for image, more in zip(images, found, strict=True)
        ]
    values = {name: folder.values[test_set][name] for name in stored}
    values |= summarize(images, lacking)
    return {name: values[name] for name in metrics if name in values}, images
