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
_BLOCK = 64
_ORDINARY = 4096
"""64 squares of 4096 sum to 2^30: what 32 bits hold."""
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
def _next_word(words: NDArray[np.uint64], i: int, stop: int) -> int:
    """Index of the next word from ``i`` to ``stop`` that is not 0, a block at a time."""
    while i + _BLOCK <= stop:
        any_set = np.uint64(0)
        for word in words[i : i + _BLOCK]:
            any_set |= word
        if any_set != 0:
            break
        i += _BLOCK
    while i < stop and words[i] == 0:
        i += 1
    return i


@jit()
def _run_end(
    labels: NDArray[Any],
    words: NDArray[np.uint64],
    i: int,
    stop: int,
    per_word: int,
    same: np.uint64,
) -> int:
    """Index after the run of equal labels that begins at ``i``, word by word where it can.

    ``same`` is a word full of that label, ``stop`` the end of the row.
    """
    k = labels[i]
    last = min(stop // per_word, words.size)
    while i < stop and labels[i] == k:
        i += 1
        if i % per_word == 0:
            w = i // per_word
            while w < last and words[w] == same:
                w += 1
            i = w * per_word
    return i


@jit()
def _add_run(
    t: NDArray[np.int64], band: NDArray[np.int64], run: NDArray[np.int16], limits: NDArray[np.int64]
) -> None:
    """Add the HU of one run of one label.

    Plain loops over a slice, from 0 on: one loop for all, or indices that numba can't tell to be
    positive, would keep them from the vector units. Blocks of ordinary HU are summed in 32 bits,
    which hold 64 squares of 4096.
    """
    low, high = np.int16(32767), np.int16(-32768)
    for x in range(run.size):
        low, high = min(low, run[x]), max(high, run[x])
    total, squares = np.int64(0), np.int64(0)
    if low >= -_ORDINARY and high <= _ORDINARY:
        for first in range(0, run.size, _BLOCK):
            block = run[first : first + _BLOCK]
            some, some_squares = np.int32(0), np.int32(0)
            for x in range(block.size):
                h = np.int32(block[x])
                some = np.int32(some + h)
                some_squares = np.int32(some_squares + np.int32(h * h))
            total += some
            squares += some_squares
    else:
        for x in range(run.size):
            wide = np.int64(run[x])
            total += wide
            squares += wide * wide
    t[COUNT] += run.size
    t[SUM] += total
    t[SQUARES] += squares
    t[MIN], t[MAX] = min(t[MIN], np.int64(low)), max(t[MAX], np.int64(high))
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
    shape: tuple[int, int, int],
    limits: NDArray[np.int64],
    n: int,
    ones: np.uint64,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Tables of all chunks: ``(CHUNKS, n, FIELDS)`` and ``(CHUNKS, n, bands)``.

    ``labels`` and ``hu`` are flat; ``words`` is ``labels`` seen eight bytes at a time, without the
    rest (empty where they don't begin on a word); ``ones`` is a word in which every label is 1.
    Rows are not sliced out one by one: that cost more than reading them.
    """
    rows, columns = shape[1], shape[2]
    per_word = _WORD // labels.itemsize
    table = np.zeros((CHUNKS, n, FIELDS), np.int64)
    bands = np.zeros((CHUNKS, n, limits.size + 1), np.int64)
    table[:, :, MIN] = _BIG
    table[:, :, MAX] = -_BIG
    table[:, :, Z0] = _BIG
    table[:, :, Y0] = _BIG
    table[:, :, X0] = _BIG
    n_rows = shape[0] * rows
    for chunk in prange(CHUNKS):
        own, band = table[chunk], bands[chunk]
        i, end = chunk * n_rows // CHUNKS * columns, (chunk + 1) * n_rows // CHUNKS * columns
        while i < end:
            if i % per_word == 0:
                i = per_word * _next_word(words, i // per_word, min(end // per_word, words.size))
                if i >= end:
                    break
            k, start, row = labels[i], i, i // columns
            first = row * columns
            i = _run_end(labels, words, i, first + columns, per_word, np.uint64(k) * ones)
            if k < 0 or k >= n:
                own[0, COUNT] += 1  # the row of label 0, which nobody counts
            elif k > 0:
                _add_run(own[k], band[k], hu[start:i], limits)
                t, z, y = own[k], row // rows, row % rows
                t[Z0], t[Z1] = min(t[Z0], z), max(t[Z1], z + 1)
                t[Y0], t[Y1] = min(t[Y0], y), max(t[Y1], y + 1)
                t[X0], t[X1] = min(t[X0], start - first), max(t[X1], i - first)
    return table, bands


def label_statistics(
    labels: NDArray[Any], hu: NDArray[np.int16], n: int, limits_hu: tuple[int, ...] = ()
) -> LabelStatistics:
    """Statistics of labels 1 to ``n - 1`` of a map ``(z, y, x)`` on the CT's grid.

    ``labels`` is uint8, uint16 or int32, from 0 to below ``n``; ``limits_hu`` ascend. What is not
    C-contiguous is copied. Raises ValueError for another shape, HU that are not int16, or a label
    outside.
    """
    if labels.shape != hu.shape or labels.ndim != 3 or n < 1:
        raise ValueError("labels and hu must have one shape (z, y, x)")
    if hu.dtype != np.int16 or labels.dtype.kind not in "ui":
        raise ValueError("hu must be int16 and labels whole numbers")
    labels, hu = np.ascontiguousarray(labels), np.ascontiguousarray(hu)
    per_word = _WORD // labels.itemsize
    flat = labels.reshape(-1)
    whole = 0 if labels.ctypes.data % _WORD else flat.size - flat.size % per_word
    words = flat[:whole].view(np.uint64)
    ones = np.ones(per_word, labels.dtype).view(np.uint64)[0]
    limits = np.array(limits_hu, np.int64)
    table, bands = _tally(flat, words, hu.reshape(-1), labels.shape, limits, n, ones)
    count = table[:, :, COUNT].sum(axis=0)
    if count[0]:
        raise ValueError(f"labels must lie from 0 to {n - 1}")
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
