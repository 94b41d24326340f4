"""A second synthetic CCTA, made on other principles than the first; for validation only.

The networks are trained on :mod:`plaque_edge.phantom.scene`. What they learn there may be true
of that generator alone, and its own test seeds would never tell. Here the heart is two
ellipsoids with grooves where they meet, courses come from rays and random walks, plaques are
eccentric circles with components from random fields, volumes are counted voxels, and the
image has a point spread with tails. Only the chest round the heart is shared.
"""
