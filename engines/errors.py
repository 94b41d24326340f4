"""Errors of the engines: a code, a sentence, a next step; the pipeline turns them into its own."""

from __future__ import annotations


class EngineError(Exception):
    """Something about a network or what runs it, as ``CODE: sentence. Next step``."""

    def __init__(self, code: str, text: str, next_step: str = "") -> None:
        super().__init__(f"{code}: {text} {next_step}".strip())
        self.code, self.text, self.next_step = code, text, next_step
