"""Markdown tables, aligned for reading in a terminal."""

from collections.abc import Sequence


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Write rows of text as a Markdown table.

    Args:
        rows: headings first; all of the same length.

    Returns:
        Lines of equal width, without a final line break.
    """
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = [
        "| " + " | ".join(f"{cell:<{w}}" for cell, w in zip(row, widths)) + " |"
        for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])
