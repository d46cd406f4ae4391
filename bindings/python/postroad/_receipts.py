"""Receipts, as the C++ part has them."""

from __future__ import annotations

from typing import Optional

from . import _core
from ._errors import Receipt, RecipientOutcome, Status, from_core, outcome_text, printable

__all__ = ["MAKER", "Receipt", "RecipientOutcome", "Status", "outcome_text", "printable", "receipt_of"]

MAKER = _core.ReceiptMaker(Receipt, RecipientOutcome, tuple(Status), from_core)


def receipt_of(operation: _core.Operation, index: Optional[int] = None) -> Receipt:
    """The receipt of an operation that is done."""
    return MAKER.of(operation, index)
