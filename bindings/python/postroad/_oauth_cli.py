"""postroad oauth: logs in at a provider, and prints tokens for --token-command. See docs/command.md."""

from __future__ import annotations

import argparse
import os
from typing import Any, Dict

from . import oauth
from ._errors import AuthenticationError, InvalidInput
from ._shell import GOOD, aside, not_empty, write

_OPTIONS = (
    ("--client-id", "ID", "of the application; its secret, if it has one, stands in POSTROAD_CLIENT_SECRET"),
    ("--store", "FILE", "keeps the tokens, for its owner alone"),
    ("--tenant", "NAME", "of Microsoft: the directory"),
    ("--scope", "TEXT", "instead of the provider's for mail"),
)


def _arguments(args: argparse.Namespace) -> Dict[str, Any]:
    return {
        "client_id": args.client_id,
        "client_secret": os.environ.get("POSTROAD_CLIENT_SECRET") or None,
        "scope": args.scope,
        "tenant": args.tenant,
        "store": args.store,
    }


def _login(args: argparse.Namespace) -> int:
    if token := os.environ.get("POSTROAD_REFRESH_TOKEN"):
        oauth.refresh(args.provider, refresh_token=token, **_arguments(args)).token()
        return GOOD
    known = oauth.providers.get(args.provider)
    if args.device_url is None and args.login_url is None and known is None and "://" in args.provider:
        raise InvalidInput(f"{args.provider}: give its --device-url or --login-url", code="invalid_option")
    if args.device_url is not None and (args.browser or args.login_url is not None):
        raise InvalidInput("--device-url is for another login than --browser and --login-url", code="contradiction")
    if args.browser or args.login_url is not None or (known and not known.device_url and args.device_url is None):
        oauth.browser_login(args.provider, login_url=args.login_url, show=aside, **_arguments(args))
    else:
        oauth.device_login(args.provider, device_url=args.device_url, show=aside, **_arguments(args))
    return GOOD


def _token(args: argparse.Namespace) -> int:
    source = oauth.refresh(args.provider, **_arguments(args))
    if oauth.FileStore(args.store).load() is None:
        text = f"{args.store} has no tokens: run postroad oauth login"
        raise AuthenticationError(text, code="credentials_unavailable")
    write(source.token())
    return GOOD


def register(commands: Any) -> None:
    """Adds the subcommand."""
    parser = commands.add_parser(
        "oauth",
        help="log in at a provider, and print tokens",
        description="Logs a user in, and keeps what it got in a file; from then on prints tokens for --token-command.",
    )
    steps = parser.add_subparsers(dest="step", required=True, metavar="login|token")
    login = steps.add_parser(
        "login",
        help="log in with a browser",
        description="Says what page to open, and ends once the user has logged in there: on whatever device at "
        "Microsoft, on this machine at Google. With a refresh token in POSTROAD_REFRESH_TOKEN nobody is asked.",
    )
    token = steps.add_parser("token", help="print a token, a new one where the last one ends soon")
    for step, run in ((login, _login), (token, _token)):
        step.add_argument(
            "provider", type=not_empty, metavar="PROVIDER", help="microsoft, google, or the URL of a token server"
        )
        for option, value, text in _OPTIONS:
            needed = option in ("--client-id", "--store")
            step.add_argument(option, type=not_empty, metavar=value, required=needed, help=text)
        step.set_defaults(run=run, tenant="common")
    login.add_argument(
        "--device-url", type=not_empty, metavar="URL", help="of the device login, where PROVIDER is a URL"
    )
    login.add_argument(
        "--login-url", type=not_empty, metavar="URL", help="of the login in a browser, where PROVIDER is a URL"
    )
    login.add_argument("--browser", action="store_true", help="in a browser on this machine, at Microsoft too")
