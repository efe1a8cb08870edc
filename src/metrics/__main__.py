"""`python -m src.metrics > docs/protocols.md`: the protocol of every metric, from its record."""

from collections.abc import Iterable, Sequence

from src.metrics._record import RAW, STAGES, MetricRecord, records
from src.metrics.number_of_clicks import RECORDS, STARTS
from src.render import Markdown, markdown_table

_LETTER = "X"  # stands for the rates that are computed alike


def page() -> str:
    """The page as Markdown, with the five stages of each protocol as columns."""
    lines = [
        "# Protocols",
        "",
        "What each metric's number means, written by `python -m src.metrics` from the records in "
        "`src/metrics`. Two numbers are comparable if their ids are equal; the version behind the "
        "name rises whenever the number would change. ↑ higher is better, ↓ lower is.",
        "",
        f"± A twin `NAME{RAW}` takes the values as they are, v/255, and is otherwise the same.",
        "",
        f"A row with an {_LETTER} is of several metrics, whose {_LETTER} the second table tells.",
        "",
    ]
    of_maps = (one for one in records().values() if one.of_image is not None)
    groups = _groups(one for one in of_maps if not _is_twin(one))
    rows = [_row(group) for group in groups]
    lines += [markdown_table(["id", *STAGES], rows, "l"), *_letters(groups), *_of_clicks()]
    return "\n".join(lines).rstrip("\n")


def _groups(some: Iterable[MetricRecord]) -> list[list[MetricRecord]]:
    """Records whose protocols differ in nothing but what is computed, at the same thresholds."""
    found: dict[tuple[str, ...], list[MetricRecord]] = {}
    for one in some:
        at = _parts(one)[1]
        alike = (one.prediction, one.target, one.matching, at, one.reporting)
        found.setdefault(alike if at else (one.name,), []).append(one)
    return list(found.values())


def _row(group: Sequence[MetricRecord]) -> list[str | Markdown]:
    first = group[0]
    stages = [getattr(first, stage) for stage in STAGES]
    if len(group) > 1:
        stages[STAGES.index("score")] = _LETTER + _parts(first)[1]
    return [Markdown(" ".join(map(_id, group))), *stages]


def _letters(groups: Iterable[Sequence[MetricRecord]]) -> list[str]:
    """What the letter stands for: names without their form (`max_`, `adp_` …), and their words."""
    names: dict[str, list[str]] = {}
    for one in (one for group in groups if len(group) > 1 for one in group):
        same = names.setdefault(_parts(one)[0], [])
        if (name := f"`{one.name.partition('_')[2]}`") not in same:
            same.append(name)
    rows = [[Markdown(", ".join(same)), what] for what, same in names.items()]
    return [markdown_table([_LETTER, "score"], rows, "l")]


def _parts(one: MetricRecord) -> tuple[str, str]:
    """What is computed, and at which thresholds."""
    what, at, thresholds = one.score.partition(", at ")
    return what, at + thresholds


def _is_twin(one: MetricRecord) -> bool:
    return one.name.endswith(RAW) and one.name.removesuffix(RAW) in records()


def _id(one: MetricRecord) -> str:
    twin = " ±" if one.name + RAW in records() else ""
    return f"`{one.id}` {'↑' if one.higher_is_better else '↓'}{twin}"


def _of_clicks() -> list[str]:
    """The section on clicks: a row for each metric, with the ids that it has by start."""
    by_score: dict[tuple[str, str], list[MetricRecord]] = {}
    for one in RECORDS:
        score = one.score.rpartition("; ")[0]  # the start's words come last
        by_score.setdefault((score, one.reporting), []).append(one)
    rows = [
        [Markdown(", ".join(map(_id, same))), score, reporting]
        for (score, reporting), same in by_score.items()
    ]
    first = RECORDS[0]
    starts = [f"- {words.suffix or 'no suffix'}: {words.words}" for words in STARTS.values()]
    return [
        "## Clicks",
        "",
        f"Of objects, by a simulated user ([metrics.md](metrics.md)). Prediction: "
        f"{first.prediction}. Target: {first.target}. Matching: {first.matching}. The end of a "
        "name says how an object begins:",
        "",
        *starts,
        "",
        markdown_table(["ids", "score", "reporting"], rows, "l"),
    ]


if __name__ == "__main__":
    print(page())
