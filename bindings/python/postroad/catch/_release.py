"""Sends what was caught after all, by the relay that the command named."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Dict, List, Tuple

from .. import Mailer
from .._errors import Error, InvalidInput
from .._receipts import Receipt

_MOST_RECIPIENTS = 1000
Answer = Tuple[int, Dict[str, Any]]


def _chosen(body: bytes, recipients: List[str]) -> List[str]:
    """Raises ValueError. An empty body stands for those of the envelope."""
    if not body:
        return recipients
    given = json.loads(body)
    chosen = given.get("recipients", recipients) if isinstance(given, dict) else None
    if not isinstance(chosen, list) or not all(isinstance(r, str) for r in chosen):
        raise ValueError
    return chosen


class Release:
    """to: the relay as people may read it."""

    def __init__(self, mailer: Mailer, to: str) -> None:
        self._mailer, self.to = mailer, to

    async def send(self, octets: bytes, sender: str, recipients: List[str], body: bytes) -> Answer:
        """Status and answer of the API; body: {"recipients": [...]} instead of those of the envelope."""
        try:
            chosen = _chosen(body, recipients)
        except (ValueError, RecursionError):
            return 400, {"error": 'write {"recipients": ["bob@example.org"]}, or nothing for those of the envelope'}
        if not 0 < len(chosen) <= _MOST_RECIPIENTS:
            return 400, {"error": f"name 1 to {_MOST_RECIPIENTS} recipients"}
        try:
            receipt = await asyncio.to_thread(self._mailer.send, octets, sender=sender, recipients=chosen)
        except InvalidInput as e:
            return 400, {"error": str(e)}
        except Error as e:
            answer = {"recipients": []} if e.receipt is None else _answer(e.receipt)
            return 502, {**answer, "error": str(e)}
        return (200 if receipt.all_accepted else 502), _answer(receipt)


def _answer(receipt: Receipt) -> Dict[str, Any]:
    """The same words for a recipient as those of `postroad send --json`."""
    return {
        "recipients": [
            {"recipient": r.address, "status": r.status.value, "code": r.code, "enhanced": r.enhanced, "text": r.text}
            for r in receipt.recipients
        ]
    }
