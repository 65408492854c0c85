"""The `.slm` architecture language: text -> syntax tree -> static checks."""
