"""The queue, the journal and the suppression list in Django's admin."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar, Dict, List, Tuple, Union

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path

from .._errors import Error, InvalidInput, Status
from .._jobs import Queue
from .._literals import JobState, SuppressionReason, words
from .._suppression import SuppressionList
from ._settings import file, suppression
from .models import QueuedMessage, SettledMessage, SuppressedAddress

_MOST = 200


class _Page(admin.ModelAdmin):  # type: ignore[misc]
    """One page, with nothing of the database behind it."""

    template: ClassVar[str]
    title: ClassVar[str]
    filters: ClassVar[Tuple[str, ...]]

    def get_urls(self) -> List[Any]:
        """Of the page."""
        view = self.admin_site.admin_view(self.changelist_view)
        return [path("", view, name=f"postroad_{self.model._meta.model_name}_changelist")]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Shows what is there, or does what the form says and comes back."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        which = {n: request.GET[n] for n in self.filters if request.GET.get(n)}
        found: Dict[str, Any] = {}
        wrong = ""
        try:
            if request.method == "POST":
                messages.success(request, self.done(request))
                return HttpResponseRedirect(request.get_full_path())
            found = self.found(which)
        except (Error, OSError) as e:
            wrong = str(e)
        context = {
            **self.admin_site.each_context(request),
            **{"title": self.title, "opts": self.model._meta, "which": which, "wrong": wrong, "most": _MOST},
            "may_add": self.has_add_permission(request),
            "may_change": self.has_change_permission(request),
            "may_delete": self.has_delete_permission(request),
            **found,
        }
        return TemplateResponse(request, self.template, context)

    def found(self, which: Any) -> Dict[str, Any]:
        """What the template shows of what matches `which`. Raises Error and OSError."""
        raise NotImplementedError

    def done(self, request: HttpRequest) -> str:
        """Does what the form of `request` says, and tells it. Raises Error, OSError and PermissionDenied."""
        raise PermissionDenied


@admin.register(QueuedMessage)
class QueuedMessageAdmin(_Page):
    """What is in the queue, by state, tenant, tag or domain, and what is done with it."""

    template = "postroad/queue.html"
    title = "Messages in the queue"
    filters = ("state", "tenant", "tag", "domain")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds here."""
        return False

    def found(self, which: Any) -> Dict[str, Any]:
        """The oldest messages."""
        queue = Queue(file())
        return {"jobs": queue.jobs(limit=_MOST, **which), "counts": queue.count(), "states": words(JobState)}

    def done(self, request: HttpRequest) -> str:
        """Sends, holds or drops the messages that were chosen."""
        what = request.POST.get("what", "")
        may = self.has_delete_permission if what == "drop" else self.has_change_permission
        if what not in ("retry", "hold", "drop") or not may(request):
            raise PermissionDenied
        queue = Queue(file())
        call = {"retry": queue.retry_now, "hold": queue.hold, "drop": queue.drop}[what]
        chosen = [int(i) for i in request.POST.getlist("id") if i.isascii() and i.isdigit()]
        return f"{what}: {sum(call(id=i) for i in chosen)} of {len(chosen)} messages"


@admin.register(SettledMessage)
class SettledMessageAdmin(_Page):
    """What became of messages that went through the queue, the last first."""

    template = "postroad/journal.html"
    title = "Messages in the journal"
    filters = ("recipient", "sender", "message_id", "tenant", "tag", "status")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds here."""
        return False

    def found(self, which: Any) -> Dict[str, Any]:
        """The last entries. A status that is none is not looked for."""
        states = [s.value for s in Status]
        given = {n: v for n, v in which.items() if n != "status"}
        if which.get("status") in states:
            given["status"] = Status(which["status"])
        return {"entries": list(Queue(file()).journal(limit=_MOST, **given)), "states": states}


@admin.register(SuppressedAddress)
class SuppressedAddressAdmin(_Page):
    """Who gets no mail: looked up, added and taken off."""

    template = "postroad/suppression.html"
    title = "Addresses that get no mail"
    filters = ("address", "tenant", "list")

    def found(self, which: Any) -> Dict[str, Any]:
        """The entry that keeps mail from an address, or the first ones of the list."""
        reasons = words(SuppressionReason)
        if not _exists():  # looking makes none: it would be this user's
            return {"rows": [], "size": 0, "reasons": reasons}
        of = _list()
        if "address" in which:
            entry = of.find(**which)
            entries = [] if entry is None else [entry]
        elif which:
            raise InvalidInput("give an address to look up", code="invalid_option")
        else:
            entries = of.entries(_MOST)
        rows = [(json.dumps([e.address, e.tenant, e.list]), e) for e in entries]
        return {"rows": rows, "size": len(of), "reasons": reasons}

    def done(self, request: HttpRequest) -> str:
        """Adds an address, or takes those off that were chosen."""
        what = request.POST.get("what", "")
        may = {"add": self.has_add_permission, "remove": self.has_delete_permission}
        if what not in may or not may[what](request):
            raise PermissionDenied
        of = _list()
        if what == "add":
            given: Any = {n: request.POST.get(n, "").strip() for n in ("address", "tenant", "list")}
            of.add(**given, reason=request.POST.get("reason") or "manual", source=request.user.get_username())
            return f"added: {given['address']}"
        chosen = [c for c in map(_chosen, request.POST.getlist("entry")) if c]
        gone = sum(of.remove(address, tenant=tenant, list=list_id) for address, tenant, list_id in chosen)
        return f"remove: {gone} of {len(chosen)} addresses"


def _exists() -> bool:
    of = suppression()
    return isinstance(of, SuppressionList) or Path(of).exists()


def _list() -> SuppressionList:
    of = suppression()
    return of if isinstance(of, SuppressionList) else SuppressionList(of)


def _chosen(text: str) -> Union[List[str], None]:
    """What a box of the form holds; None for what this page did not write."""
    try:
        parts = json.loads(text)
    except ValueError:
        return None
    whole = isinstance(parts, list) and len(parts) == 3 and all(isinstance(p, str) for p in parts)
    return parts if whole else None
