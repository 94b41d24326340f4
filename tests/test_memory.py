"""The peak is this process's own, whatever started it."""

import subprocess
import sys


def test_a_small_child_of_a_big_parent_is_small() -> None:
    big = bytearray(600 << 20)
    big[:: 1 << 12] = b"x" * len(range(0, len(big), 1 << 12))  # touched, so that it is resident
    code = "from plaque_edge.memory import peak_mb; print(peak_mb())"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 5 < int(out.stdout) < 300


def test_what_was_held_counts() -> None:
    code = "x = b'1' * (400 << 20); del x\nfrom plaque_edge.memory import peak_mb; print(peak_mb())"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 400 <= int(out.stdout) < 700
