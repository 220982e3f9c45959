"""Tables for people, in Markdown. In: runs. Out: text that reads as well in a terminal."""

import os
import pathlib
import platform


def table(best, packets, floor):
    """One line a work: its speed, its cost, and both against the floor's."""
    rows = []
    for name, ran in best.items():
        if ran.trouble:
            rows.append((name, "failed", "", "", "", megabytes(ran)))
            continue
        against = (f"{ran.cpu / floor.cpu:.2f}", f"{ran.wall / floor.wall:.2f}") if not floor.trouble and floor.cpu > 0 else ("", "")
        rows.append((name, f"{packets / ran.wall:,.0f}", f"{ran.cpu / packets * 1e9:,.0f}", *against, megabytes(ran)))
    return plain(["work", "packets/s", "CPU ns a packet", "CPU ratio to the floor", "wall ratio", "peak MB"], rows)


def plain(heads, rows):
    """A Markdown table with aligned columns, numbers to the right."""
    lines = [heads, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]

    def line(cells):
        first, *rest = (cell.ljust(width) if place == 0 else cell.rjust(width) for place, (cell, width) in enumerate(zip(cells, widths)))
        return "| " + " | ".join([first, *rest]) + " |"

    rule = "|" + "|".join("-" * (width + 2) if place == 0 else "-" * (width + 1) + ":" for place, width in enumerate(widths)) + "|"
    return "\n".join([line(heads), rule, *map(line, rows)])


def megabytes(ran):
    """The peak; nothing where the program was gone before anybody looked."""
    return f"{ran.peak / 1024:,.1f}" if ran.peak else ""


def machine():
    """What it ran on."""
    model, memory = platform.processor() or platform.machine(), ""
    cpuinfo, meminfo = pathlib.Path("/proc/cpuinfo"), pathlib.Path("/proc/meminfo")
    if cpuinfo.exists():
        model = next((line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")), model)
    if meminfo.exists():
        memory = f", {int(meminfo.read_text().split()[1]) / (1 << 20):.0f} GB"
    return f"- {model}, {os.cpu_count()} cores{memory}, {platform.system()} {platform.release()}"
