"""The application of Django."""

from django.apps import AppConfig


class Postroad(AppConfig):  # type: ignore[misc]
    """Adds `manage.py postroad`, and pages to the admin."""

    name = "postroad.django"
    label = "postroad"
    verbose_name = "Mail"
    default_auto_field = "django.db.models.AutoField"
