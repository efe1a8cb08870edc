"""`python -m src.metrics > docs/protocols.md`: the protocol of every metric, from its record."""

from src.metrics._record import STAGES, MetricRecord, records
from src.metrics.number_of_clicks import RECORDS, STARTS
from src.render import Markdown, markdown_table


def page() -> str:
    """The page as Markdown, with the five stages of each protocol as columns."""
    lines = [
        "# Protocols",
        "",
        "What each metric's number means, written by `python -m src.metrics` from the records in "
        "`src/metrics`. Two numbers are comparable if their ids are equal; the version behind the "
        "name rises whenever the number would change. ↑ higher is better, ↓ lower is.",
        "",
    ]
    of_maps = [one for one in records().values() if one.of_image is not None]
    rows = [[_id(one), *(getattr(one, stage) for stage in STAGES)] for one in of_maps]
    lines += [markdown_table(["id", *STAGES], rows, "l"), *_of_clicks()]
    return "\n".join(lines).rstrip("\n")


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


def _id(one: MetricRecord) -> Markdown:
    return Markdown(f"`{one.id}` {'↑' if one.higher_is_better else '↓'}")


if __name__ == "__main__":
    print(page())
