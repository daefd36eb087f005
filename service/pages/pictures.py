"""Drawn figures as elements of a page whose policy forbids styles beside its own sheet."""

from __future__ import annotations

import re

_STYLES = re.compile(r'style="([^"]*)"')
_SHEETS = re.compile(r"<style.*?</style>", re.DOTALL)


def inline(svg: str, alt: str) -> str:
    """Make a drawn figure an element of a page whose policy forbids styles beside its own sheet."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = plain(svg)
    width, height = (float(size) for size in re.findall(r'(?:width|height)="([\d.]+)pt"', svg)[:2])
    opening = f'<svg role="img" aria-label="{alt}" viewBox="0 0 {width:g} {height:g}" class="chart" '
    return (
        opening
        + 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
        + re.sub(r"^<svg[^>]*>", "", svg)
    )


def plain(drawn: str) -> str:
    """Return what was drawn with its styles as attributes; a sheet of its own, which says nothing of ours, goes."""
    return _STYLES.sub(lambda found: _attributes(found[1]), _SHEETS.sub("", drawn))


def _attributes(style: str) -> str:
    """Declarations of a style as presentation attributes, which mean the same in SVG."""
    pairs = (pair.partition(":")[::2] for pair in style.split(";") if pair.strip())
    return " ".join(f'{name.strip()}="{value.strip()}"' for name, value in pairs if name.strip() != "font")
