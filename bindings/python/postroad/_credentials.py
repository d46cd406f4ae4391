"""Credentials that change: a function is asked for them when they are due."""

from __future__ import annotations

import inspect
import weakref
from _queue import SimpleQueue
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Callable, Iterable, Optional, Tuple, Union

from ._errors import Error, InvalidInput
from ._messages import check_function, octets, several
from ._threads import Worker

if TYPE_CHECKING:
    from . import _core

    Questions = SimpleQueue[Optional[_core.CredentialsQuestion]]


@dataclass(frozen=True)
class CredentialsRequest:
    """What the function `credentials` of a Mailer is asked for."""

    server: str
    """ "name:port" of the server that wants them."""
    refused_token: Optional[str] = field(default=None, repr=False)
    """The token that was given last and that the server refused: where it is the one that is kept, get another."""


if TYPE_CHECKING:
    CredentialsSource = Callable[[CredentialsRequest], Union[str, Tuple[str, str]]]


class Asking:
    """A queue whose questions a thread of its own answers by `source`, until it finds None there. The source, which may
    hold the mailer, lives as long as this does, not as long as the thread."""

    def __init__(self, source: CredentialsSource) -> None:
        check_function("credentials", source)
        if inspect.iscoroutinefunction(source):
            raise TypeError("credentials must be a function, not a coroutine function: it has a thread of its own")
        self.source = source
        self.questions: Questions = SimpleQueue()
        # now, since Python starts no thread once it exits, and what is submitted is sent then
        Worker("postroad credentials", _answer_all, self.questions, weakref.ref(self))


def _answer_all(questions: Questions, asking: weakref.ref[Asking]) -> None:
    while (question := questions.get()) is not None:
        owner = asking()
        source = None if owner is None else owner.source
        del owner
        if source is not None:
            try:
                _answer(question, source(CredentialsRequest(question.server, question.refused_token)))
            except BaseException as e:
                # its text may hold a secret, but for one that postroad.oauth wrote
                ours = isinstance(e, Error) and e.code == "credentials_unavailable"
                question.refuse(str(e) if ours else f"it raised {type(e).__name__}")
        del question, source


def mechanisms(auth: Union[str, Iterable[str], None]) -> Optional[bytes]:
    """The argument auth, as the URL has it."""
    if auth is None:
        return None
    names = several("auth", [auth] if isinstance(auth, str) else auth)
    if not names:
        raise InvalidInput("auth names no mechanism: leave it out, and one is chosen", code="invalid_option")
    return b",".join(names)


def _answer(question: _core.CredentialsQuestion, result: object) -> None:
    if isinstance(result, str):
        question.answer_token(octets("the token", result))
    elif isinstance(result, tuple) and len(result) == 2 and all(isinstance(part, str) for part in result):
        user, password = result
        question.answer_password(octets("the user name", user), octets("the password", password))
    else:
        question.refuse(f"it returned {type(result).__name__}, not a token or a tuple of user and password")
