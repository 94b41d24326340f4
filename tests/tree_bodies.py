"""Phantoms as ideal probability maps, and coronary trees of drawn hearts without an image."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import patch

import numpy as np
from scipy.ndimage import gaussian_filter

from plaque_edge.phantom import scene
from plaque_edge.phantom.anatomy import Anatomy, make_anatomy
from plaque_edge.segment.tree_maps import TREE_SPACING_MM, TreeMaps, resample_volume
from plaque_edge.types import Branch, Volume

CLASSES = {"background": 0, "aorta": 1, "LM": 2, "LAD": 3, "LCX": 4, "RCA": 5, "vein": 6}


def scanned(seed: int) -> scene.Phantom:
    """The patient of ``make_phantom(seed, "small")`` in voxels of 0.8 mm, which are soon drawn."""
    coarse = scene.Preset(190, (0.79, 0.81), (0.79, 0.81), wild=False)
    with patch.dict(scene.PRESETS, coarse=coarse):
        return scene.make_phantom(seed, "coarse", truth=False)


def unscanned(seed: int) -> scene.Phantom:
    """The patient of ``make_phantom(seed, "small")`` in a scan that nobody took: air."""
    with patch.object(scene, "acquire", lambda _c, _s, shape, *_: np.full(shape, -1000, np.int16)):
        return scene.make_phantom(seed, "small", truth=False)


def labels_of(phantom: scene.Phantom) -> tuple[np.ndarray, np.ndarray]:
    """True class of every 0.8 mm voxel round the tree, and the first voxel's place in mm."""
    points = np.concatenate([b.points_mm for b in phantom.tree.branches])
    first = np.array(phantom.volume.origin_zyx_mm)
    last = first + np.array(phantom.volume.shape_zyx) * phantom.volume.spacing_zyx_mm
    low = np.maximum(first, points.min(0) - 15)
    high = np.minimum(last, points.max(0) + np.array([25, 15, 15]))
    shape = tuple(int(n) for n in np.ceil((high - low) / TREE_SPACING_MM))
    return scene.tree_label_map(
        phantom, TREE_SPACING_MM, low, shape, scene.volume_offset(phantom)
    ), low


def maps_of(phantom: scene.Phantom, blur: float = 0.0, scanned: bool = False) -> TreeMaps:
    """What a network without error would say; without a scan, blood is where the labels say."""
    labels, low = labels_of(phantom)
    probability = np.stack([np.float32(255) * (labels == c) for c in CLASSES.values()])
    if blur:
        probability = np.stack([gaussian_filter(p, blur) for p in probability])
    blood = phantom.truth["aorta_hu"]
    if scanned:
        hu = resample_volume(phantom.volume, low, TREE_SPACING_MM, labels.shape)
    else:
        hu = np.where((labels > 0) & (labels < 6), blood, -60).astype(np.int16)
    at = (float(low[0]), float(low[1]), float(low[2]))
    return TreeMaps(np.rint(probability).astype(np.uint8), TREE_SPACING_MM, at, hu, blood)


def volume_of(maps: TreeMaps) -> Volume:
    """The maps' own HU as a scan."""
    return Volume(maps.hu, (maps.spacing_mm,) * 3, maps.low_mm)


def axes_mm(maps: TreeMaps) -> list[np.ndarray]:
    """z, y and x of every voxel in mm, to be broadcast."""
    index = np.ogrid[tuple(slice(0, n) for n in maps.shape)]
    return [i * maps.spacing_mm + low for i, low in zip(index, maps.low_mm, strict=True)]


def places_mm(maps: TreeMaps, where: np.ndarray) -> np.ndarray:
    """Centres ``(n, 3)`` of the voxels of a mask."""
    return np.argwhere(where) * maps.spacing_mm + np.array(maps.low_mm)


def with_class(maps: TreeMaps, where: np.ndarray, name: str, probability: float = 1.0) -> TreeMaps:
    """The maps with ``name`` of a probability, else background, in some voxels."""
    new = maps.probability.copy()
    new[:, where] = 0
    new[CLASSES[name], where] = round(255 * probability)
    new[0, where] = 255 - round(255 * probability) if name != "background" else 255
    return replace(maps, probability=new)


def without(maps: TreeMaps, *names: str) -> TreeMaps:
    """The maps with some classes turned into background."""
    gone = maps.probability[[CLASSES[n] for n in names]].max(0) > 0
    return with_class(maps, gone, "background")


def anatomy(seed: int) -> Anatomy:
    """A drawn heart."""
    return make_anatomy(np.random.default_rng(seed))


def nameless(heart: Anatomy) -> tuple[list[Branch], list[str]]:
    """Branches of a drawn heart that know their vessel alone, and their true names."""
    arteries = [t for t in heart.tubes if t.vessel is not None]
    return [
        Branch(t.vessel, t.vessel, t.parent, t.points_mm[::2], t.radius_mm[::2]) for t in arteries
    ], [t.name for t in arteries]
