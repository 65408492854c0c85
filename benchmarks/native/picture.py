"""The results as bars: tokens per second of both sides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slmc.files import write_text

WIDTH, LEFT, BAR, GAP = 720, 190, 16, 14
COLOURS = {"ours": "#1f6feb", "theirs": "#9aa4b2"}
NAMES = {"ours": "slmc, simulating with cycles and energy", "theirs": "llama.cpp, native"}


def draw(results: dict[str, Any], path: Path) -> None:
    """An SVG beside the JSON."""
    lines: list[str] = []
    y = 48
    for phase in ("decode", "prefill"):
        most = max(row[side][phase] for row in results["native"] for side in COLOURS if side in row)
        for row in results["native"]:
            label = f"{phase}, {row['scheme']}, {row['threads']} thread{'s' * (row['threads'] > 1)}"
            lines.append(_text(LEFT - 8, y + BAR, label, "end"))
            for side, colour in COLOURS.items():
                if side not in row:
                    continue
                length = (WIDTH - LEFT - 90) * row[side][phase] / most
                lines.append(f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR - 2}" fill="{colour}"/>')
                lines.append(_text(LEFT + length + 6, y + BAR - 5, f"{row[side][phase]:.1f} tokens/s", "start"))
                y += BAR
            y += GAP
        y += GAP
    legend = [
        f'<rect x="{LEFT + 260 * place}" y="14" width="12" height="12" fill="{colour}"/>'
        + _text(LEFT + 260 * place + 18, 24, NAMES[side], "start")
        for place, (side, colour) in enumerate(COLOURS.items())
    ]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" font-family="sans-serif" font-size="11">'
    )
    write_text(path, "\n".join([head, *legend, *lines, "</svg>"]) + "\n")


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'
