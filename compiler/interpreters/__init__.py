"""NumPy interpreters of the IR levels: each computes what a module means, to judge the passes below it."""
