"""Questions about IR, and pure solvers on plain data."""
