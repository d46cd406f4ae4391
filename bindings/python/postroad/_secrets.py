"""Secrets among arguments stay out of tracebacks, whose frames some tools show with all their locals."""

from __future__ import annotations

import functools
import sys
from typing import Any, Callable, Optional, TypeVar, cast

_Function = TypeVar("_Function", bound=Callable[..., Any])


def keeps_secrets(f: _Function) -> _Function:
    """What `f` raises has no frame that holds its arguments, nor have its causes."""

    @functools.wraps(f)
    def kept(*args: Any, **kwargs: Any) -> Any:
        before = sys.exc_info()[1]
        try:
            return f(*args, **kwargs)
        except BaseException as e:
            del args, kwargs
            one: Optional[BaseException] = e
            while one is not None and one is not before:
                one.__traceback__ = None
                one = one.__cause__ or one.__context__
            raise

    return cast(_Function, kept)
