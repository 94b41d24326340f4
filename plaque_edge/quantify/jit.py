"""One typed door to numba, so that strict type checking sees through the decorator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])
prange = numba.prange


def jit(*, parallel: bool = False) -> Callable[[F], F]:
    """Compile in nopython mode, cached on disk, without the GIL; ``parallel``: ``prange``."""

    def wrap(function: F) -> F:
        compiled: Any = numba.njit(cache=True, parallel=parallel, nogil=True, error_model="numpy")(
            function
        )
        return cast("F", compiled)

    return wrap
