"""`python -m src.metrics > docs/protocols.md`: the protocol of every metric, from its record."""

from src.metrics._record import STAGES, records


def page() -> str:
    """The page as Markdown, with the five stages of each protocol as columns."""
    lines = [
        "# Protocols",
        "",
        "What each metric's number means, written by `python -m src.metrics` from the records in "
        "`src/metrics`. Two numbers are comparable if their ids are equal; the version behind the "
        "name rises whenever the number would change. ↑ higher is better, ↓ lower is.",
        "",
        "| id | " + " | ".join(STAGES) + " |",
        "|---|" + "---|" * len(STAGES),
    ]
    for one in records().values():
        arrow = "↑" if one.higher_is_better else "↓"
        cells = [str(getattr(one, stage)).replace("|", "\\|") for stage in STAGES]
        lines.append(f"| `{one.id}` {arrow} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(page())
