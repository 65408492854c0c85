"""Small charts as SVG text: the same numbers give the same bytes."""
