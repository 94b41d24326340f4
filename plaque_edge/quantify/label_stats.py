"""Volume, HU and place of every label of a label map, in one pass over the bytes.

Rows are read eight labels at a time: where all are 0 the CT is not even looked at, so a map of
vessels costs little more than reading the map. Nothing of the size of the volume is made.
``tests/test_label_stats.py`` holds the slow twin and SimpleITK, scipy and scikit-image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from plaque_edge.quantify.jit import jit, prange

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNKS = 16
"""Fixed number of partial tables: the result does not depend on the number of threads."""
COUNT, SUM, SQUARES, MIN, MAX, Z0, Z1, Y0, Y1, X0, X1 = range(11)
FIELDS = 11
_WORD = 8
_BIG = np.int64(2**40)


@dataclass(frozen=True, slots=True)
class LabelStatistics:
    """One row per label from 0 to ``n - 1``; label 0 is not counted. NaN where a label is absent.

    ``box`` is int64 ``(n, 6)``: first and last + 1 index along z, y, x. ``bands`` ``(n, b + 1)``
    counts voxels by HU: below the first limit, from there to the next, ...
    """

    voxels: NDArray[np.int64]
    mean_hu: NDArray[np.float64]
    sd_hu: NDArray[np.float64]
    min_hu: NDArray[np.float64]
    max_hu: NDArray[np.float64]
    box: NDArray[np.int64]
    bands: NDArray[np.int64]


@jit()
def _next_word(line: NDArray[np.uint64], i: int) -> int:
    """Index of the next word from ``i`` on that is not 0, four at a time."""
    n = line.size
    while i + 4 <= n and (line[i] | line[i + 1] | line[i + 2] | line[i + 3]) == 0:
        i += 4
    while i < n and line[i] == 0:
        i += 1
    return i


@jit()
def _run_end(
    line: NDArray[Any], words: NDArray[np.uint64], x: int, per_word: int, same: np.uint64
) -> int:
    """Index after the run of equal labels that begins at ``x``, word by word where it can.

    ``same`` is a word full of that label, ``words`` the line's words or empty.
    """
    k, n = line[x], line.size
    while x < n and line[x] == k:
        x += 1
        if words.size > 0 and x % per_word == 0:
            w = x // per_word
            while w < words.size and words[w] == same:
                w += 1
            x = w * per_word
    return x


@jit()
def _add_run(
    t: NDArray[np.int64],
    band: NDArray[np.int64],
    shade: NDArray[np.int16],
    start: int,
    stop: int,
    limits: NDArray[np.int64],
) -> None:
    """Add the run of one label in one row.

    Two plain loops over a slice, from 0 on: one loop for all, or indices that numba can't tell to
    be positive, would keep them from the vector units.
    """
    run = shade[start:stop]
    low, high = np.int16(32767), np.int16(-32768)
    for x in range(run.size):
        low, high = min(low, run[x]), max(high, run[x])
    total, squares = np.int64(0), np.int64(0)
    for x in range(run.size):
        h = np.int32(run[x])
        total += h
        squares += h * h
    t[COUNT] += stop - start
    t[SUM] += total
    t[SQUARES] += squares
    t[MIN], t[MAX] = min(t[MIN], np.int64(low)), max(t[MAX], np.int64(high))
    t[X0], t[X1] = min(t[X0], start), max(t[X1], stop)
    if limits.size > 0:
        for x in range(run.size):
            b = 0
            for limit in limits:
                b += run[x] >= limit
            band[b] += 1


@jit(parallel=True)
def _tally(
    labels: NDArray[Any],
    words: NDArray[np.uint64],
    hu: NDArray[np.int16],
    limits: NDArray[np.int64],
    n: int,
    ones: np.uint64,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Tables of all chunks: ``(CHUNKS, n, FIELDS)`` and ``(CHUNKS, n, bands)``.

    ``words`` is ``labels`` seen eight bytes at a time, empty where rows are not whole words;
    ``ones`` is a word in which every label is 1.
    """
    depth, rows, columns = hu.shape
    per_word = _WORD // labels.itemsize
    no_words = np.zeros(0, np.uint64)
    table = np.zeros((CHUNKS, n, FIELDS), np.int64)
    bands = np.zeros((CHUNKS, n, limits.size + 1), np.int64)
    table[:, :, MIN] = _BIG
    table[:, :, MAX] = -_BIG
    table[:, :, Z0] = _BIG
    table[:, :, Y0] = _BIG
    table[:, :, X0] = _BIG
    n_rows = depth * rows
    for chunk in prange(CHUNKS):
        own, band = table[chunk], bands[chunk]
        for row in range(chunk * n_rows // CHUNKS, (chunk + 1) * n_rows // CHUNKS):
            z, y = row // rows, row % rows
            line, shade = labels[z, y], hu[z, y]
            x = 0
            while x < columns:
                if words.size > 0 and x % per_word == 0:
                    x = per_word * _next_word(words[z, y], x // per_word)
                    if x >= columns:
                        break
                k = line[x]
                start = x
                own_words = words[z, y] if words.size > 0 else no_words
                x = _run_end(line, own_words, x, per_word, np.uint64(k) * ones)
                if k > 0:
                    _add_run(own[k], band[k], shade, start, x, limits)
                    t = own[k]
                    t[Z0], t[Z1] = min(t[Z0], z), max(t[Z1], z + 1)
                    t[Y0], t[Y1] = min(t[Y0], y), max(t[Y1], y + 1)
    return table, bands


def label_statistics(
    labels: NDArray[Any], hu: NDArray[np.int16], n: int, limits_hu: tuple[int, ...] = ()
) -> LabelStatistics:
    """Statistics of labels 1 to ``n - 1`` of a map ``(z, y, x)`` on the CT's grid.

    ``labels`` is uint8, uint16 or int32, C-contiguous, every value below ``n``; ``limits_hu``
    ascend. Raises ValueError for another shape.
    """
    if labels.shape != hu.shape or labels.ndim != 3:
        raise ValueError("labels and hu must have one shape (z, y, x)")
    labels, hu = np.ascontiguousarray(labels), np.ascontiguousarray(hu)
    whole = labels.shape[2] * labels.itemsize % _WORD == 0 and labels.ctypes.data % _WORD == 0
    words = labels.view(np.uint64) if whole and labels.size else np.zeros((0, 0, 0), np.uint64)
    ones = np.ones(_WORD // labels.itemsize, labels.dtype).view(np.uint64)[0]
    table, bands = _tally(labels, words, hu, np.array(limits_hu, np.int64), n, ones)
    count = table[:, :, COUNT].sum(axis=0)
    counted = bands.sum(axis=0) if limits_hu else count[:, None]
    there = count > 0
    safe = np.where(there, count, 1)
    mean = table[:, :, SUM].sum(axis=0) / safe
    variance = table[:, :, SQUARES].sum(axis=0) / safe - mean**2
    low, high = table[:, :, [Z0, Y0, X0]].min(axis=0), table[:, :, [Z1, Y1, X1]].max(axis=0)
    box = np.stack([low, high], axis=2).reshape(n, 6)
    absent = np.where(there, 0.0, np.nan)
    return LabelStatistics(
        voxels=count,
        mean_hu=mean + absent,
        sd_hu=np.sqrt(np.maximum(variance, 0.0)) + absent,
        min_hu=table[:, :, MIN].min(axis=0) + absent,
        max_hu=table[:, :, MAX].max(axis=0) + absent,
        box=np.where(there[:, None], box, 0),
        bands=counted,
    )
