"""What the admin shows. No table of the database is behind any of it."""

from django.db import models


class QueuedMessage(models.Model):  # type: ignore[misc]
    """A message in the queue of the site: for the permissions to view, to change (retry, hold) and to delete."""

    class Meta:
        managed = False
        default_permissions = ("view", "change", "delete")
        verbose_name = "message in the queue"
        verbose_name_plural = "messages in the queue"


class SettledMessage(models.Model):  # type: ignore[misc]
    """A message that is over, in the journal of the site's queue: for the permission to view."""

    class Meta:
        managed = False
        default_permissions = ("view",)
        verbose_name = "message in the journal"
        verbose_name_plural = "messages in the journal"


class SuppressedAddress(models.Model):  # type: ignore[misc]
    """An address that gets no mail of the site: for the permissions to view, to add and to delete."""

    class Meta:
        managed = False
        default_permissions = ("view", "add", "delete")
        verbose_name = "address that gets no mail"
        verbose_name_plural = "addresses that get no mail"
