"""`python -m src.metrics > docs/protocols.md`: the protocol of every metric, from its record."""

from src.metrics._record import STAGES, records
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
    rows = [
        [
            Markdown(f"`{one.id}` {'↑' if one.higher_is_better else '↓'}"),
            *(getattr(one, stage) for stage in STAGES),
        ]
        for one in records().values()
    ]
    return "\n".join([*lines, markdown_table(["id", *STAGES], rows, "l")]).rstrip("\n")


if __name__ == "__main__":
    print(page())
