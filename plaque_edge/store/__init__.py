"""The store: one SQLite file that knows every case, its state and how it got there.

The service is the only writer; any number of consoles read, and put down what people ask of the
service. The journal is a WAL, so a process that is killed leaves the last whole state behind.
``docs/store.md`` describes the tables and how a console uses them.
"""

from plaque_edge.cases import (
    ASIDE,
    FINISHED,
    MAX_ATTEMPTS,
    STATES,
    TRANSITIONS,
    CaseRow,
    Event,
    IllegalTransition,
    NewCase,
    State,
    Step,
    listed,
)
from plaque_edge.store.action_table import Action, NewAction
from plaque_edge.store.chain import Anchor, AuditRow, Fault, Verdict
from plaque_edge.store.clock import utc_now
from plaque_edge.store.database import DATABASE
from plaque_edge.store.request_table import REQUESTS, NewRequest, Request, ask
from plaque_edge.store.schema import SCHEMA_VERSION
from plaque_edge.store.store import Store

__all__ = [
    "ASIDE",
    "DATABASE",
    "FINISHED",
    "MAX_ATTEMPTS",
    "REQUESTS",
    "SCHEMA_VERSION",
    "STATES",
    "TRANSITIONS",
    "Action",
    "Anchor",
    "AuditRow",
    "CaseRow",
    "Event",
    "Fault",
    "IllegalTransition",
    "NewAction",
    "NewCase",
    "NewRequest",
    "Request",
    "State",
    "Step",
    "Store",
    "Verdict",
    "ask",
    "listed",
    "utc_now",
]
