"""Sinusoidal positions: the one definition, for the interpreters and for the compiler's TABLE constants; all binary64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BASE = 10000.0


def sinusoid(positions: NDArray[np.int64], columns: int) -> NDArray[np.float64]:
    """[len(positions), columns]: sin(a_j), j < columns/2, then cos(a_j); a_j = position * 10000 ** (-j / (columns/2 - 1)).

    columns is even and at least 4 (the verifiers of the sinusoid ops see to it).
    """
    half = columns // 2
    frequencies = np.array([BASE ** (-j / (half - 1)) for j in range(half)])
    angles = positions[:, None].astype(np.float64) * frequencies
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
