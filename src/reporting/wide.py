"""Methods below each other, a group of columns for each data set, as papers print them.

One layout for runs (`finecut table layout=wide`) and for scored maps (`finecut evaluate`).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from src import render
from src.metrics import higher_is_better

Cells = list[render.Cell | str | int]


class WideRow(NamedTuple):
    """A line of the table.

    Attributes:
        lead: The cells before the numbers.
        numbers: By data set and metric; one that is not there is shown as missing.
        kind: Of the row, as the style of the HTML page knows it.
    """

    lead: Cells
    numbers: Mapping[tuple[str, str], render.Cell]
    kind: str = "run"


class WideTable(NamedTuple):
    """Rows and the order of their columns.

    Attributes:
        lead: Names of the columns before the numbers.
        rows: As they stand.
        sets: What stands above the columns of each data set, in order.
        metrics: In the order of each set's columns; those that no row has on a set have none there.
        protocol: Of the metrics, which says the direction of foreign ones.
    """

    lead: Sequence[str]
    rows: Sequence[WideRow]
    sets: Mapping[str, str]
    metrics: Sequence[str]
    protocol: Mapping[str, str]

    @property
    def columns(self) -> list[tuple[str, str]]:
        """Data set and metric of each column of numbers."""
        return [
            (name, metric)
            for name in self.sets
            for metric in self.metrics
            if any((name, metric) in row.numbers for row in self.rows)
        ]

    def head(self, named: bool) -> list[str]:
        """Names of the columns; `named`: with the data set, where nothing can stand above them."""
        arrows = {
            m: "↑" if higher_is_better(m, self.protocol.get(m, "")) else "↓" for m in self.metrics
        }
        return [
            *self.lead,
            *(
                f"{name} {m} {arrows[m]}" if named else f"{m} {arrows[m]}"
                for name, m in self.columns
            ),
        ]

    def over(self) -> list[tuple[str, int]]:
        """What stands above the columns, and how many of them each spans."""
        columns = self.columns
        spans = {name: sum(of == name for of, _ in columns) for name in self.sets}
        shown = [(self.sets[name], count) for name, count in spans.items() if count]
        return [("", len(self.lead)), *shown]

    def body(self) -> list[Cells]:
        """The cells of each row."""
        columns = self.columns
        return [
            [*row.lead, *(row.numbers.get(column, render.MISSING) for column in columns)]
            for row in self.rows
        ]
