"""``prepare`` says how far it is and how long it will take."""

from __future__ import annotations

from engines.progress import EVERY_S, Progress


class Clock:
    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


def test_share_and_time_left_are_told() -> None:
    clock, said = Clock(), []
    progress = Progress(said.append, 4, clock)
    with progress.step():
        progress.say("one")
        clock.s = 10.0
    progress.say("two")
    with progress.step():
        clock.s = 30.0
    progress.say("three")
    assert said == [
        "[  0 %] one",
        "[ 25 %, 30 s left] two",
        "[ 50 %, 30 s left] three",
    ]


def test_parts_of_a_long_step_are_told_now_and_then_and_never_go_back() -> None:
    clock, said = Clock(), []
    progress = Progress(said.append, 2, clock)
    with progress.step():
        for i in range(100):
            clock.s += EVERY_S / 10
            progress.part(i / 100, "building")
        progress.part(0.1, "building")
        assert 0.49 < progress.share <= 0.5
    assert 8 <= len(said) <= 10
    assert progress.share == 0.5
    clock.s = 1000.0
    progress.say("still")
    assert said[-1] == "[ 50 %, 17 min left] still"


def test_a_step_that_fails_counts() -> None:
    progress = Progress(lambda _text: None, 1)
    try:
        with progress.step():
            raise ValueError
    except ValueError:
        pass
    assert progress.share == 1.0
