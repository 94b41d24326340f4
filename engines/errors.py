"""Errors of the engines: a code, a sentence, a next step; the pipeline turns them into its own."""

from __future__ import annotations


class EngineError(Exception):
    """Something about a network or what runs it, as ``CODE: sentence. Next step``."""

    def __init__(self, code: str, text: str, next_step: str = "") -> None:
        super().__init__(f"{code}: {text} {next_step}".strip())
        self.code, self.text, self.next_step = code, text, next_step


def told(error: Exception, next_step: str) -> EngineError:
    """Return the error itself where it is one of ours, else one that only names its kind."""
    if isinstance(error, EngineError):
        return error
    return EngineError("ENGINE_FAILED", f"An unexpected {type(error).__name__}.", next_step)
