"""What stands in /etc/postroad.toml and ~/.config/postroad.toml. See docs/command.md."""

from __future__ import annotations

import difflib
import email.utils
import fnmatch
import os
import shlex
import sys
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Optional, Set, Tuple

from . import _core
from ._errors import InvalidInput
from ._messages import mailboxes, octets
from ._outbox import local_of
from ._services import url_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_COMMANDS = ("password_command", "token_command")
_PROOFS = ("password_command", "password_file", "token_command", "keyring")
_PATHS = ("password_file", "ca_file", "queue")


@dataclass(frozen=True)
class Account:
    """A server and who we are there."""

    url: str = ""
    user: Optional[str] = None
    password_command: Tuple[str, ...] = ()
    password_file: str = ""
    token_command: Tuple[str, ...] = ()
    keyring: bool = False
    sender: str = ""
    senders: Tuple[str, ...] = ()
    """Whose mail goes by it where none is named: addresses, with * for anything."""
    ca_file: str = ""


@dataclass(frozen=True)
class Config:
    accounts: Mapping[str, Account] = field(default_factory=dict)
    aliases: Mapping[str, Tuple[str, ...]] = field(default_factory=dict)
    """By their names in small letters: case tells no local names apart, as in aliases(5)."""
    account_by_default: str = ""
    sender: str = ""
    domain: str = ""
    queue: str = ""

    def account(self, name: Optional[str], sender: Optional[str] = None) -> Account:
        """That of `name`; else the first for `sender`, the default, the only one."""
        if name is None:
            by_sender = (n for n, a in self.accounts.items() if sender and _matches(sender, a.senders))
            only = next(iter(self.accounts)) if len(self.accounts) == 1 else None
            name = next(by_sender, None) or self.account_by_default or only
        if name is None and self.accounts:
            text = f"none of the accounts {' and '.join(self.accounts)} is chosen: name one by --account, or by account"
            raise InvalidInput(f"{text} in the configuration, or write whose senders go by which", code="invalid_url")
        if name is None:
            where = " or ".join(map(str, places()))
            text = (
                "no server is known: give its URL, such as smtp://smtp.example.com, or a service, such as gmail, or "
                f"write an account into {where}"
            )
            raise InvalidInput(text, code="invalid_url")
        if name not in self.accounts:
            text = f"there is no account {name!r}{_guess(name, self.accounts)}"
            raise InvalidInput(text, code="invalid_option")
        return self.accounts[name]

    def expand(self, name: str, passed: Optional[Set[str]] = None) -> List[str]:
        """The addresses behind an alias; a name that is none, or an alias of its own, stands for itself. Raises
        InvalidInput where nobody is behind it."""
        if passed is None:
            if found := self.expand(name, set()):
                return found
            raise InvalidInput(f"the alias {name!r} leads to nobody: give it an address", code="invalid_config")
        known = name.lower()
        if known in passed or known not in self.aliases:
            return [] if known in passed else [name]
        passed.add(known)
        return [a for to in self.aliases[known] for a in ([to] if to.lower() == known else self.expand(to, passed))]


def _matches(sender: str, patterns: Iterable[str]) -> bool:
    address = email.utils.parseaddr(sender)[1].lower()
    return any(fnmatch.fnmatchcase(address, p.lower()) for p in patterns)


def places() -> List[Path]:
    """Where it is looked for; what comes later counts more."""
    if named := os.environ.get("POSTROAD_CONFIG"):
        return [Path(named)]
    # cron and daemons have no HOME
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return [Path("/etc/postroad.toml"), Path(home) / "postroad.toml"]


def _guess(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def words_of(command: str) -> Tuple[str, ...]:
    """As a shell has them. Raises InvalidInput."""
    try:
        return tuple(shlex.split(command))
    except ValueError as e:
        raise InvalidInput(f"{str(e).lower()}: quotes work as in a shell", code="invalid_option") from None


def wrong(path: Path, text: str) -> InvalidInput:
    return InvalidInput(f"{path}: {text}", code="invalid_config")


def _text(path: Path, key: str, value: object) -> str:
    if not isinstance(value, str):
        raise wrong(path, f"{key} must be a text in quotes")
    return value


def _texts(path: Path, key: str, value: object) -> Tuple[str, ...]:
    return tuple(_text(path, key, v) for v in (value if isinstance(value, list) else [value]))


def _checked_sender(path: Path, where: str, given: str) -> str:
    """Said here, where the file is known, and not of the message that it is first used for."""
    try:
        if given and len(mailboxes(where, given)) != 1:
            raise wrong(path, f"{where} must be one address")
    except InvalidInput as e:
        raise e if e.code == "invalid_config" else wrong(path, str(e)) from None
    return given


def _checked_queue(path: Path, given: str) -> str:
    if given and "://" not in given and not os.path.isabs(given):
        raise wrong(path, f"queue must be a whole path, such as /var/spool/postroad/{given}: programs run anywhere")
    return given


def _alias(path: Path, name: str, given: object) -> Tuple[str, ...]:
    found = _texts(path, f"aliases.{name}", given)
    if "" in found:
        raise wrong(path, f"the alias {name!r} leads to an empty text: give it an address")
    return found


def _value(path: Path, key: str, value: object, like: object) -> Any:
    name = key.rpartition(".")[2]
    if name in _COMMANDS:
        if not isinstance(value, str):
            return _texts(path, key, value)
        try:
            return words_of(value)
        except InvalidInput as e:
            raise wrong(path, f"{key}: {e}") from None
    if isinstance(like, bool):
        if not isinstance(value, bool):
            raise wrong(path, f"{key} must be true or false")
        return value
    if isinstance(like, tuple):
        return _texts(path, key, value)
    return os.path.expanduser(_text(path, key, value)) if name in _PATHS else _text(path, key, value)


def _checked_url(path: Path, name: str, given: str) -> str:
    try:
        url = url_of(given)
        if local_of(url)[0] is None:
            _core.check_url(octets("url", url, "invalid_url"))
        return url
    except InvalidInput as e:
        raise wrong(path, f"accounts.{name}.url: {e}") from None


def _account(path: Path, name: str, given: object) -> Account:
    if not isinstance(given, dict):
        raise wrong(path, f"accounts.{name} must be a table")
    known = {f.name: f.default for f in fields(Account)}
    for key in given:
        if key == "password":
            text = f"accounts.{name}: a password does not stand here: use password_command, password_file or keyring"
            raise wrong(path, text)
        if key not in known:
            raise wrong(path, f"accounts.{name}: {key} is not known{_guess(key, known)}")
    if not given.get("url"):
        raise wrong(path, f'accounts.{name} has no url: write one, such as "smtp://smtp.example.com"')
    account = Account(**{k: _value(path, f"accounts.{name}.{k}", v, known[k]) for k, v in given.items()})
    proofs = [k for k in _PROOFS if getattr(account, k)]
    if len(proofs) > 1:
        raise wrong(path, f"accounts.{name} has {' and '.join(proofs)}: leave one of them")
    _checked_sender(path, f"accounts.{name}.sender", account.sender)
    return replace(account, url=_checked_url(path, name, account.url))


def _read(path: Path) -> Dict[str, Any]:
    try:
        with path.open("rb") as f:
            return tomllib.loads(f.read().decode("utf-8-sig"))
    except FileNotFoundError:
        return {}
    except OSError as e:
        raise wrong(path, e.strerror or "it cannot be read") from None
    except UnicodeDecodeError:
        raise wrong(path, "it is not UTF-8: convert it") from None
    except (tomllib.TOMLDecodeError, RecursionError) as e:
        raise wrong(path, f"it is no TOML: {e}") from None


def _with(config: Config, path: Path, given: Dict[str, Any]) -> Config:
    known = ("accounts", "aliases", "account", "sender", "domain", "queue")
    for key in given:
        if key not in known:
            raise wrong(path, f"{key} is not known{_guess(key, known)}")
    for key in ("accounts", "aliases"):
        if not isinstance(given.get(key, {}), dict):
            raise wrong(path, f"{key} must be a table")
    accounts = {n: _account(path, n, a) for n, a in given.get("accounts", {}).items()}
    aliases = {n.lower(): _alias(path, n, to) for n, to in given.get("aliases", {}).items()}
    texts = {k: _value(path, k, given[k], "") for k in ("sender", "domain", "queue") if k in given}
    _checked_sender(path, "sender", texts.get("sender", ""))
    if texts.get("domain"):
        _checked_sender(path, "domain", f"a@{texts['domain']}")
    _checked_queue(path, texts.get("queue", ""))
    return replace(
        config,
        accounts={**config.accounts, **accounts},
        aliases={**config.aliases, **aliases},
        account_by_default=_text(path, "account", given.get("account", config.account_by_default)),
        **texts,
    )


def load() -> Config:
    """Raises InvalidInput, code "invalid_config", that names file and key."""
    named = os.environ.get("POSTROAD_CONFIG")
    config = Config()
    for path in places():
        if named and not path.exists():
            raise wrong(path, "POSTROAD_CONFIG names it, and it does not exist")
        config = _with(config, path, _read(path))
    if (name := config.account_by_default) and name not in config.accounts:
        where = " or ".join(map(str, places()))
        text = f"{where}: there is no account {name!r}{_guess(name, config.accounts)}"
        raise InvalidInput(text, code="invalid_config")
    return config
