"""A case as a person corrected it: corrected numbers, images and contours of the same series."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gui.case import check_identity
from plaque_edge.correct.current import current
from plaque_edge.correct.official import LABELS_FILE, changed_labels
from plaque_edge.show.branches import read_branches

if TYPE_CHECKING:
    from gui.case import OpenCase


def corrected_case(case: OpenCase) -> OpenCase:
    """Return the case with its newest correction, or as it is where there is none.

    Raises
    ------
    IdentityError
        When what lies there is of another series.
    OSError, ValueError, KeyError
        When it cannot be read, or is not what the store knows.
    """
    now = current(case.review.acts, case.row.result_dir, case.row.result_sha256)
    if now.act is None or now.folder is None or case.result is None:
        return replace(case, sha256=now.sha256)
    text = (now.folder / "result.json").read_bytes()
    if hashlib.sha256(text).hexdigest() != now.sha256:
        raise ValueError("the corrected result is not the one that the store knows")
    result: dict[str, Any] = json.loads(text)
    check_identity(case.row, result["series"])
    stack = case.stack
    if stack is not None:
        stack = replace(stack, labels=changed_labels(stack.labels, now.folder / LABELS_FILE))
    branches = read_branches(now.folder / "branches.npz") if case.branches else ()
    return replace(
        case, result=result, stack=stack, branches=branches, original=case.result,
        sha256=now.sha256,
    )  # fmt: skip
