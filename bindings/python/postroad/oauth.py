"""OAuth 2.0 tokens for the argument `credentials` of Mailer: got from a token server, refreshed ahead of their end,
once for all threads, and with a store for all processes.

    tokens = postroad.oauth.refresh("google", client_id=..., client_secret=..., refresh_token=..., store="token.json")
    mailer = postroad.Mailer("gmail", user="ann@gmail.com", credentials=tokens)

RFC 6749 (sections 4.1, 4.4 and 6), RFC 7636, RFC 8252, RFC 8628.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import logging
import os
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Mapping, NoReturn, Optional, Protocol, Union

from . import _browser_login
from ._credentials import CredentialsRequest
from ._errors import AuthenticationError, InvalidInput, NoConnection, ProtocolError, printable
from ._messages import instance, path_of
from ._secrets import keeps_secrets

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

__all__ = [
    "FileStore",
    "KeyringStore",
    "Provider",
    "Store",
    "TokenSource",
    "Tokens",
    "browser_login",
    "client_credentials",
    "device_login",
    "providers",
    "refresh",
]

_log = logging.getLogger("postroad")

# A token that ends sooner than this is refreshed: it must hold while a connection is opened.
_AHEAD = 120.0
_MOST_OCTETS = 1 << 20
_TIMEOUT = 30.0


@dataclass(frozen=True)
class Provider:
    """Where a provider gives tokens for mail."""

    token_url: str
    """The token endpoint."""
    scope: str = ""
    """What a token is for, where nothing else is asked for."""
    application_scope: str = ""
    """The same for client_credentials()."""
    device_url: str = ""
    """Where a device begins to log in; empty: not for mail."""
    source: str = ""
    """Where the provider says so."""
    login_url: str = ""
    """Where a browser is sent to log in: the authorization endpoint."""
    login_asks: Mapping[str, str] = field(default_factory=dict)
    """What it must be asked beside, to give a refresh token."""


providers: Mapping[str, Provider] = {
    # its device login has no scope for mail
    "google": Provider(
        "https://oauth2.googleapis.com/token",
        scope="https://mail.google.com/",
        source="https://developers.google.com/workspace/gmail/imap/xoauth2-protocol",
        login_url="https://accounts.google.com/o/oauth2/v2/auth",
        # it gives a refresh token the first time only, unless the user is asked again
        login_asks={"access_type": "offline", "prompt": "consent"},
    ),
    "microsoft": Provider(
        "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token",
        scope="https://outlook.office.com/SMTP.Send offline_access",
        application_scope="https://outlook.office365.com/.default",
        device_url="https://login.microsoftonline.com/{tenant}/oauth2/v2.0/devicecode",
        source="https://learn.microsoft.com/en-us/exchange/client-developer/legacy-protocols/"
        "how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth",
        login_url="https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize",
    ),
}
"""Known providers, by the names that the functions take in place of a URL."""


@dataclass(frozen=True)
class Tokens:
    """What a token server gave."""

    access_token: str = field(repr=False)
    """What authenticates."""
    expires_at: float
    """By time.time()."""
    refresh_token: Optional[str] = field(default=None, repr=False)
    """Gets the next; a server may give a new one each time."""


class Store(Protocol):
    """Keeps tokens between processes."""

    def load(self) -> Optional[Tokens]:
        """What is kept; None: nothing that can be read."""

    def save(self, tokens: Tokens) -> None:
        """Keeps `tokens` in place of the others."""

    def locked(self) -> contextlib.AbstractContextManager[None]:
        """While it lasts no other process refreshes."""


def _written(tokens: Tokens) -> str:
    return json.dumps(
        {
            "access_token": tokens.access_token,
            "expires_at": tokens.expires_at,
            "refresh_token": tokens.refresh_token,
        }
    )


def _read(text: str) -> Optional[Tokens]:
    try:
        found = json.loads(text)
        return Tokens(str(found["access_token"]), float(found["expires_at"]), found.get("refresh_token"))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


class FileStore:
    """Keeps tokens in a file that only its owner can read (mode 0600), replaced as a whole. Beside it stands a file of
    the same name and .lock.

    path: of the file; its folder exists.
    """

    def __init__(self, path: Union[str, os.PathLike[str]]) -> None:
        self._path = path_of("path", path)

    def load(self) -> Optional[Tokens]:
        """What the file holds."""
        try:
            return _read(self._path.read_text())
        except (FileNotFoundError, UnicodeDecodeError):
            return None

    def save(self, tokens: Tokens) -> None:
        """Writes `tokens`. Raises OSError."""
        new = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
            os.chmod(new, 0o600)
            f.write(_written(tokens))
            f.flush()
            os.fsync(f.fileno())
        os.replace(new, self._path)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Locks the file beside it."""
        with _locked(f"{self._path}.lock"):
            yield


@contextlib.contextmanager
def _locked(path: str) -> Iterator[None]:
    if fcntl is None:
        yield
        return
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class KeyringStore:
    """Keeps tokens in the keyring of the system, by the package keyring. A file in XDG_RUNTIME_DIR, or in the cache
    folder of the user, is its lock.

    service, user: the names they have there.
    """

    def __init__(self, service: str, user: str) -> None:
        import keyring

        instance("service", service, str)
        instance("user", user, str)
        self._keyring: Any = keyring
        self._place = service, user

    def load(self) -> Optional[Tokens]:
        """What the keyring holds."""
        found: Optional[str] = self._keyring.get_password(*self._place)
        return None if found is None else _read(found)

    def save(self, tokens: Tokens) -> None:
        """Writes `tokens`."""
        self._keyring.set_password(*self._place, _written(tokens))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Locks the file. Raises OSError."""
        caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(os.environ.get("XDG_RUNTIME_DIR") or caches) / "postroad"
        folder.mkdir(0o700, parents=True, exist_ok=True)
        name = hashlib.sha256("\0".join(self._place).encode()).hexdigest()
        with _locked(f"{folder / name}.lock"):
            yield


class _Unchanged(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Secrets go nowhere else."""
        return


def _checked(url: str) -> str:
    try:
        parts = urllib.parse.urlsplit(url)
        _ = parts.port
    except ValueError as e:
        raise InvalidInput(f"the URL of a token server: {e}", code="invalid_url") from None
    if not parts.hostname:
        raise InvalidInput("the URL of a token server names no host", code="invalid_url")
    is_here = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_here):
        raise InvalidInput("the URL of a token server begins with https://", code="invalid_url")
    return url


def _without_secrets(found: Dict[str, Any], form: Mapping[str, str]) -> Dict[str, Any]:
    """A token server that refuses may say again what it was sent."""
    plain = [form.get(name, "") for name in ("client_secret", "refresh_token", "device_code", "code")]
    # as they are, and as a form or a URL has them
    secrets = [written(s) for s in plain for written in (str, urllib.parse.quote_plus, urllib.parse.quote)]
    for name in ("error", "error_description"):
        for secret in secrets:
            # taking out what is shorter would tell what it is
            if name in found and len(secret) >= 8:
                found[name] = str(found[name]).replace(secret, "[redacted]")
    return found


def _posted(url: str, form: Mapping[str, str]) -> Dict[str, Any]:
    """The JSON of the reply, also of one that refuses. Raises NoConnection, ProtocolError."""
    host = urllib.parse.urlsplit(url).netloc
    request = urllib.request.Request(
        url, urllib.parse.urlencode(form).encode(), {"Accept": "application/json"}, method="POST"
    )
    try:
        with urllib.request.build_opener(_Unchanged).open(request, timeout=_TIMEOUT) as reply:
            octets, status = reply.read(_MOST_OCTETS), reply.status
    except urllib.error.HTTPError as e:
        with e:
            octets, status = e.read(_MOST_OCTETS), e.code
    except (OSError, http.client.HTTPException) as e:
        why = printable(str(getattr(e, "reason", e)))
        text = f"the token server cannot be reached: {why}"
        raise NoConnection(text, code="credentials_unavailable", host=host, phase="auth", transient=True) from None
    if status >= 500 or status == 429:
        text = f"the token server replied {status}"
        raise NoConnection(text, code="credentials_unavailable", host=host, phase="auth", transient=True)
    with contextlib.suppress(ValueError, RecursionError):
        found = json.loads(octets)
        if isinstance(found, dict):
            return _without_secrets(found, form)
    raise ProtocolError(f"the token server replied {status} and no JSON", code="credentials_unavailable", host=host)


def _refuse(found: Mapping[str, Any], url: str) -> NoReturn:
    words = [str(found[k])[:500] for k in ("error", "error_description") if found.get(k)]
    text = printable(f"the token server refused: {': '.join(words) or 'it gave no token'}")
    raise AuthenticationError(
        text, code="credentials_unavailable", host=urllib.parse.urlsplit(url).netloc, phase="auth", reply=text
    )


def _tokens_of(found: Mapping[str, Any], url: str, now: float) -> Tokens:
    token = found.get("access_token")
    if not isinstance(token, str) or not token:
        _refuse(found, url)
    try:
        lasts = float(found.get("expires_in", 3600))
    except (TypeError, ValueError, OverflowError):
        lasts = 3600.0
    if not 0 <= lasts < 1e9:
        lasts = 3600.0
    refresh_token = found.get("refresh_token")
    return Tokens(token, now + lasts, refresh_token if isinstance(refresh_token, str) else None)


class TokenSource:
    """A function for the argument `credentials` of Mailer. Any thread may use it; also many mailers may. It asks the
    token server when the token it has ends within two minutes, or was refused. Made by refresh(), client_credentials()
    and device_login()."""

    def __init__(self, url: str, form: Mapping[str, str], store: Optional[Store], first: Optional[Tokens]) -> None:
        self._url = url
        self._form = dict(form)
        self._store = store
        self._lock = threading.Lock()
        self._tokens = first
        self._unsaved = False

    def __call__(self, request: CredentialsRequest) -> str:
        """The token for a `request` of a mailer."""
        with self._lock:
            return self._current(request.refused_token).access_token

    @keeps_secrets
    def token(self) -> str:
        """A token that holds for two minutes at least. Raises AuthenticationError when the token server refuses, and
        NoConnection when it does not answer."""
        with self._lock:
            return self._current(None).access_token

    def _holds(self, tokens: Optional[Tokens], refused: Optional[str]) -> bool:
        return tokens is not None and tokens.access_token != refused and time.time() + _AHEAD < tokens.expires_at

    def _current(self, refused: Optional[str]) -> Tokens:
        if self._tokens is not None and self._holds(self._tokens, refused):
            return self._tokens
        with contextlib.nullcontext() if self._store is None else self._store.locked():
            # another process may have been quicker
            kept = None if self._store is None else self._store.load()
            if kept is None or not self._holds(kept, refused):
                kept = self._fetched(kept)
            self._tokens = kept
            return kept

    def _fetched(self, kept: Optional[Tokens]) -> Tokens:
        form = dict(self._form)
        # The newest: a server may take each of them once only. That of another process is in the store.
        known = (self._tokens, kept) if self._unsaved else (kept, self._tokens)
        last = next((t.refresh_token for t in known if t is not None and t.refresh_token), None)
        if form["grant_type"] == "refresh_token" and last:
            form["refresh_token"] = last
        now = time.time()
        fresh = _tokens_of(_posted(self._url, form), self._url, now)
        if fresh.refresh_token is None:
            fresh = replace(fresh, refresh_token=form.get("refresh_token"))
        self._tokens = fresh
        if self._store is not None:
            try:
                self._store.save(fresh)
                self._unsaved = False
            except Exception as e:  # it authenticates all the same, and nobody gives it again
                self._unsaved = True
                _log.warning(
                    "a token could not be stored: %s", printable(getattr(e, "strerror", None) or type(e).__name__)
                )
        return fresh

    def __repr__(self) -> str:
        return f"<postroad.oauth.TokenSource at {urllib.parse.urlsplit(self._url).netloc}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a TokenSource holds secrets and cannot be pickled or copied")


def _provider(provider: str, tenant: str) -> Provider:
    if not isinstance(provider, str):
        raise TypeError(f"provider must be a str, not {type(provider).__name__}")
    instance("tenant", tenant, str)
    if provider in providers:
        known = providers[provider]
        place = {"tenant": urllib.parse.quote(tenant, safe="")}
        urls = {name: getattr(known, name).format(**place) for name in ("token_url", "device_url", "login_url")}
        return replace(known, **urls)
    if "://" not in provider:
        names = ", ".join(providers)
        raise InvalidInput(f"provider must be one of {names}, or the URL of a token server", code="invalid_option")
    return Provider(_checked(provider))


def _store(store: Union[Store, str, os.PathLike[str], None]) -> Optional[Store]:
    if isinstance(store, (str, os.PathLike)):
        return FileStore(store)
    if store is not None and not all(hasattr(store, name) for name in ("load", "save", "locked")):
        raise TypeError(f"store must be a path or a Store, not {type(store).__name__}")
    return store


def _form(**values: Optional[str]) -> Dict[str, str]:
    for name, value in values.items():
        if not isinstance(value, (str, type(None))):
            raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    return {name: value for name, value in values.items() if value}


@keeps_secrets
def refresh(
    provider: str,
    *,
    client_id: str,
    refresh_token: Optional[str] = None,
    client_secret: Optional[str] = None,
    scope: Optional[str] = None,
    tenant: str = "common",
    store: Union[Store, str, os.PathLike[str], None] = None,
) -> TokenSource:
    """Tokens of a user, by a refresh token that was got before.

    provider: "google", "microsoft", or the URL of a token server.
    client_id, client_secret: of the application, as it is registered there.
    refresh_token: None where `store` has one.
    scope: instead of the provider's for mail.
    tenant: of Microsoft: the directory.
    store: keeps tokens for other processes and the next run: the path of a file, or a Store.
    """
    where = _provider(provider, tenant)
    kept = _store(store)
    if refresh_token is None and kept is None:
        raise InvalidInput("refresh_token is not given, and there is no store that has one", code="invalid_credentials")
    form = _form(
        grant_type="refresh_token",
        client_id=client_id,
        client_secret=client_secret,
        refresh_token=refresh_token,
        scope=scope or (where.scope if provider != "google" else None),
    )
    return TokenSource(where.token_url, form, kept, None)


@keeps_secrets
def client_credentials(
    provider: str,
    *,
    client_id: str,
    client_secret: str,
    scope: Optional[str] = None,
    tenant: str = "common",
    store: Union[Store, str, os.PathLike[str], None] = None,
) -> TokenSource:
    """Tokens of an application that acts for itself (RFC 6749 section 4.4).

    provider, client_id, client_secret, scope, tenant, store: as of refresh(). Microsoft wants a `tenant`; Google has
    nothing of the kind for mail.
    """
    where = _provider(provider, tenant)
    if provider == "google":
        raise InvalidInput("Google gives applications no tokens for mail: use refresh()", code="invalid_option")
    form = _form(
        grant_type="client_credentials",
        client_id=client_id,
        client_secret=client_secret,
        scope=scope or where.application_scope,
    )
    return TokenSource(where.token_url, form, _store(store), None)


@keeps_secrets
def device_login(
    provider: str,
    *,
    client_id: str,
    client_secret: Optional[str] = None,
    device_url: Optional[str] = None,
    scope: Optional[str] = None,
    tenant: str = "common",
    store: Union[Store, str, os.PathLike[str], None] = None,
    show: Callable[[str], object] = print,
) -> TokenSource:
    """Lets a user log in with a browser, on whatever device (RFC 8628), and returns once that is done. With `store`
    refresh() needs no `refresh_token` from then on.

    provider, client_id, client_secret, scope, tenant, store: as of refresh().
    device_url: of the device authorization endpoint, where `provider` is a URL.
    show: is given the sentence for the user.

    Raises AuthenticationError when the user refuses or takes too long.
    """
    where = _provider(provider, tenant)
    begin = _checked(device_url) if device_url else where.device_url
    if not begin:
        raise InvalidInput(f"{provider} has no device login for mail: use browser_login()", code="invalid_option")
    _check_store(store)
    asked = _posted(begin, _form(client_id=client_id, scope=scope or where.scope))
    for needed in ("device_code", "user_code", "verification_uri"):
        if not isinstance(asked.get(needed), str):
            _refuse(asked, begin)
    show(f"Open {printable(asked['verification_uri'])} and enter the code {printable(asked['user_code'])}")
    form = _form(
        grant_type="urn:ietf:params:oauth:grant-type:device_code",
        client_id=client_id,
        client_secret=client_secret,
        device_code=asked["device_code"],
    )
    first = _polled(where.token_url, form, _number(asked.get("interval"), 5.0), _number(asked.get("expires_in"), 900.0))
    return _logged_in(
        first, provider, client_id=client_id, client_secret=client_secret, scope=scope, tenant=tenant, store=store
    )


@keeps_secrets
def browser_login(
    provider: str,
    *,
    client_id: str,
    client_secret: Optional[str] = None,
    login_url: Optional[str] = None,
    scope: Optional[str] = None,
    tenant: str = "common",
    store: Union[Store, str, os.PathLike[str], None] = None,
    show: Callable[[str], object] = print,
    patience: float = 900.0,
) -> TokenSource:
    """Lets a user log in with a browser on this machine, which comes back to a port of 127.0.0.1 (RFC 8252 section 7.3,
    with the proof of RFC 7636), and returns once that is done. With `store` refresh() needs no `refresh_token` from
    then on.

    provider, client_id, client_secret, scope, tenant, store: as of refresh(). Google wants an application of the type
        "Desktop app", whose secret is none.
    login_url: of the authorization endpoint, where `provider` is a URL.
    show: is given the sentence for the user, with the page to open.
    patience: seconds that the user has.

    Raises AuthenticationError when the user refuses or takes too long.
    """
    where = _provider(provider, tenant)
    begin = _checked(login_url) if login_url else where.login_url
    if not begin:
        raise InvalidInput("login_url is not given, and the provider is a URL", code="invalid_option")
    _check_store(store)
    answer = _browser_login.ask(
        begin, {**where.login_asks, **_form(client_id=client_id, scope=scope or where.scope)}, show, patience
    )
    if answer is None:
        _refuse({"error": "expired_token", "error_description": "nobody logged in in time"}, begin)
    if "error" in answer.given:
        _refuse(answer.given, begin)
    form = _form(
        grant_type="authorization_code",
        client_id=client_id,
        client_secret=client_secret,
        code=answer.given["code"],
        redirect_uri=answer.redirect_uri,
        code_verifier=answer.verifier,
    )
    first = _tokens_of(_posted(where.token_url, form), where.token_url, time.time())
    return _logged_in(
        first, provider, client_id=client_id, client_secret=client_secret, scope=scope, tenant=tenant, store=store
    )


def _check_store(store: Union[Store, str, os.PathLike[str], None]) -> None:
    """Ahead of a login, which would be in vain."""
    if (kept := _store(store)) is not None:
        with kept.locked():
            pass


def _logged_in(first: Tokens, provider: str, **more: Any) -> TokenSource:
    """What goes on from the tokens that a login gave; `more` as of refresh()."""
    source = refresh(provider, refresh_token=first.refresh_token or "none was given", **more)
    source._tokens = first
    if source._store is not None:
        with source._store.locked():
            source._store.save(first)
    return source


def _number(value: object, otherwise: float) -> float:
    return float(value) if isinstance(value, (int, float)) and 0 <= value < 1e6 else otherwise


def _polled(url: str, form: Mapping[str, str], interval: float, patience: float) -> Tokens:
    """Asks until the user is done; `slow_down` makes the interval longer by 5 s (RFC 8628 section 3.5)."""
    end = time.monotonic() + patience
    while True:
        found = _posted(url, form)
        error = found.get("error")
        if error not in ("authorization_pending", "slow_down"):
            return _tokens_of(found, url, time.time())
        interval += 5.0 if error == "slow_down" else 0.0
        if time.monotonic() + interval > end:
            _refuse({"error": "expired_token", "error_description": "nobody logged in in time"}, url)
        time.sleep(interval)
