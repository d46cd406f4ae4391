"""A site of Django in one file. Its pages store mail in a file, and a process of its own sends it.

POSTROAD_URL=smtp://... POSTROAD_QUEUE=FILE python django_site.py runserver
POSTROAD_URL=smtp://... POSTROAD_QUEUE=FILE python django_site.py postroad run
"""

import os
import sys

from django.conf import settings
from django.core.mail import send_mail
from django.core.management import execute_from_command_line
from django.http import HttpRequest, HttpResponse
from django.urls import path

settings.configure(
    DEBUG=True,
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["postroad.django"],
    EMAIL_BACKEND="postroad.django.EmailBackend",
    POSTROAD={"url": os.environ["POSTROAD_URL"], "queue": os.environ["POSTROAD_QUEUE"], "submit_only": True},
)


def order(request: HttpRequest, number: int) -> HttpResponse:
    send_mail(f"Order {number}", "Thank you.", "shop@example.com", [request.GET["email"]])
    return HttpResponse("Thank you.")


urlpatterns = [path("order/<int:number>", order)]

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
