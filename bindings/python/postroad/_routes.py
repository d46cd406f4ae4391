"""Named domains that go elsewhere than their MX records say, and rules for those that do not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import List, Mapping, Optional, Tuple, Union

from ._errors import InvalidInput
from ._messages import file_octets, octets


def routes_of(routes: Optional[Mapping[str, str]], url: str) -> Optional[List[Tuple[bytes, bytes]]]:
    """Pairs, in order. What a target is the C++ part says."""
    if routes is None:
        return None
    if not isinstance(routes, Mapping):
        raise TypeError(f"routes must be a mapping of domains to URLs, not {type(routes).__name__}")
    if not url.lower().startswith("mx://"):
        raise InvalidInput("routes are of use with mx:// only: other mail goes to one server", code="contradiction")
    return [(octets("routes", domain), octets("routes", target)) for domain, target in routes.items()]


def rules_of(rules: Union[str, os.PathLike[str], None], url: str) -> Optional[bytes]:
    """The file of rules. "default" stands for itself."""
    if rules is not None and not url.lower().startswith("mx://"):
        raise InvalidInput("rules are of use with mx:// only: other mail goes to one server", code="contradiction")
    return file_octets("rules", rules)


def shipped_rules() -> bytes:
    """The file that comes with the package."""
    return os.fsencode(Path(__file__).with_name("providers.toml"))
