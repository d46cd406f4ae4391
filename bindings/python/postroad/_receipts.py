"""Receipts, as the C++ part has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from ._errors import Receipt, RecipientOutcome, Status, from_core, outcome_text, printable

if TYPE_CHECKING:
    from . import _core

__all__ = ["Receipt", "RecipientOutcome", "Status", "outcome_text", "printable", "receipt_of"]


def receipt_of(operation: _core.Operation, index: Optional[int] = None) -> Receipt:
    """The receipt of an operation that is done."""
    error, recipients, attempts = operation.result()
    outcomes = tuple(
        RecipientOutcome(address, Status(status), code, enhanced, text, phase, name, why, direct)
        for address, status, phase, code, enhanced, text, name, why, direct in recipients
    )
    exception = None if error is None else from_core(error)
    receipt = Receipt(outcomes, attempts, exception, index)
    if exception is not None:
        exception.receipt = receipt
    return receipt
