"""Segment: from HU to the coronary tree (network A) and its wall and plaque (network B).

The door is :func:`plaque_edge.segment.run.segment`.
"""
