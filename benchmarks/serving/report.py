"""The tables of a run, for a terminal and for the page of the documentation: both are of the same numbers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from serving.growth import Cost

Row = Mapping[str, Any]
_COLUMNS: Final = ("cpu_us", "capacity", "lowest", "highest", "rate", "p50_ms", "p99_ms", "p99_to_bare", "goal")


def printed(rows: Sequence[Row]) -> str:
    """What is compared, a line each."""
    lines = [f"{'':28}" + "".join(f"{name:>12}" for name in _COLUMNS)]
    lines += [f"{row['name']:28}" + "".join(f"{row[name]!s:>12}" for name in _COLUMNS) for row in rows]
    return "\n".join(lines)


def printed_growth(costs: Sequence[Cost]) -> str:
    """What each operation costs at each size, a line each."""
    sizes = _sizes(costs)
    lines = [f"\n{'ms of CPU (pages; items)':32}" + "".join(f"{f'{size[0]:,}/{size[1]:,}':>20}" for size in sizes)]
    for name, line in _lines(costs).items():
        cells = (f"{line[size].ms:.2f} ({line[size].pages}; {line[size].items})" for size in sizes)
        lines.append(f"{name:32}" + "".join(f"{cell:>20}" for cell in cells))
    return "\n".join(lines)


def write_page(page: Path, result: Mapping[str, Any], costs: Sequence[Cost]) -> None:
    """Put the tables between their marks in the page; what was not measured stays as it is."""
    text = page.read_text(encoding="utf-8")
    for name, table in _tables(result, costs).items():
        begin, end = f"<!-- measured: {name} -->\n", f"<!-- end: {name} -->"
        before, _, rest = text.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            message = f"{page} has no place for {name}"
            raise ValueError(message)
        text = before + begin + table + end + after
    page.write_text(text, encoding="utf-8")


def _tables(result: Mapping[str, Any], costs: Sequence[Cost]) -> dict[str, str]:
    return {
        "capacity": _capacity(result),
        "budget": _table(["", "µs"], [[name, f"{value:.1f}"] for name, value in result["budget"].items()]),
        **({"growth": _growth(costs)} if costs else {}),
    }


def _capacity(result: Mapping[str, Any]) -> str:
    machine = result["machine"]
    head = (
        f"`{result['command']}`, {result['at'][:10]}, {machine['cores']} cores at a load of {machine['load']:.1f}, "
        f"Python {machine['python']}.\nCapacity is the median of the rounds, in brackets lowest and highest.\n\n"
    )
    columns = ["", "CPU, µs", "capacity", "goal", "requests/s", "p50, ms", "p99, ms", "p99 to bare"]
    rows = [
        [
            row["name"],
            f"{row['cpu_us']:.1f}",
            f"{row['capacity']:.2f} ({row['lowest']:.2f} to {row['highest']:.2f})",
            row["goal"],
            f"{row['rate']:,}",
            f"{row['p50_ms']:.2f}",
            f"{row['p99_ms']:.2f}",
            f"{row['p99_to_bare']:.1f}",
        ]
        for row in result["serving"]
    ]
    return head + _table(columns, rows) + "\n" + "".join(f"{line}\n" for line in result["said"])


def _growth(costs: Sequence[Cost]) -> str:
    sizes, lines = _sizes(costs), _lines(costs)
    columns = ["papers/verdicts in the history", *(f"{papers:,}/{history:,}" for papers, history in sizes)]
    columns += ["papers", "history"]
    rows = []
    for name, line in lines.items():
        cells = [f"{line[size].ms:.1f} {_bracket(line[size])}" for size in sizes]
        rows.append([name, *cells, *_ratios(line, sizes)])
    return _table(columns, rows)


def _bracket(cost: Cost) -> str:
    known = [str(one) for one in (cost.pages, cost.items) if one is not None]
    return f"({'; '.join(known)})" if known else ""


def _ratios(line: Mapping[tuple[int, int], Cost], sizes: Sequence[tuple[int, int]]) -> list[str]:
    """Most papers over fewest, of one history; longest history over shortest, of as many papers."""
    largest = max(sizes)
    smallest = next(size for size in sizes if size[0] == min(sizes)[0] and size[1] == largest[1])
    alike = [size for size in sizes if size[0] == smallest[0]]
    shortest, longest = min(alike), max(alike)
    return [f"{line[largest].ms / line[smallest].ms:.1f}", f"{line[longest].ms / line[shortest].ms:.1f}"]


def _sizes(costs: Sequence[Cost]) -> list[tuple[int, int]]:
    return list(dict.fromkeys((cost.papers, cost.history) for cost in costs))


def _lines(costs: Sequence[Cost]) -> dict[str, dict[tuple[int, int], Cost]]:
    lines: dict[str, dict[tuple[int, int], Cost]] = {}
    for cost in costs:
        lines.setdefault(cost.operation, {})[cost.papers, cost.history] = cost
    return lines


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
