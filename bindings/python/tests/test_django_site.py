"""A site of Django with postroad among its applications: commands, admin, AdminEmailHandler, MAILERS."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import django
import postroad
import pytest
from conftest import compose

SETTINGS = """
SECRET_KEY = "x"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "site_urls"
USE_TZ = True
INSTALLED_APPS = ["django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes",
                  "django.contrib.sessions", "django.contrib.messages", "postroad.django"]
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware", "django.middleware.csrf.CsrfViewMiddleware",
              "django.contrib.auth.middleware.AuthenticationMiddleware",
              "django.contrib.messages.middleware.MessageMiddleware"]
TEMPLATES = [{{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS":
    {{"context_processors": ["django.template.context_processors.request",
                             "django.contrib.auth.context_processors.auth",
                             "django.contrib.messages.context_processors.messages"]}}}}]
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": {folder!r} + "/site.db"}}}}
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
EMAIL_BACKEND = "postroad.django.EmailBackend"
ADMINS = [("Ops", "ops@example.com")]
POSTROAD = {{"url": {url!r}, "queue": {queue!r}, "submit_only": True}}
"""
URLS = "from django.contrib import admin; from django.urls import path; urlpatterns = [path('', admin.site.urls)]"


class Site:
    def __init__(self, folder: Path, url: str) -> None:
        self.queue = folder / "outbox.db"
        (folder / "site_settings.py").write_text(SETTINGS.format(folder=str(folder), url=url, queue=str(self.queue)))
        (folder / "site_urls.py").write_text(URLS)
        self.place = {
            "cwd": folder,
            "env": {**os.environ, "PYTHONPATH": str(folder), "DJANGO_SETTINGS_MODULE": "site_settings"},
            "text": True,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        }

    def manage(self, *arguments):
        return subprocess.run([sys.executable, "-m", "django", *arguments], timeout=120, **self.place)

    def program(self, text):
        text = "import django; django.setup()\n" + textwrap.dedent(text)
        # what is pending is for Django 6.1 and later: MAILERS, ADMINS without names
        strict = ["-W", "error", "-W", "ignore::PendingDeprecationWarning"]
        done = subprocess.run([sys.executable, *strict, "-c", text], timeout=120, **self.place)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def suppresses(self, value='"list.db"'):
        settings = self.place["cwd"] / "site_settings.py"
        settings.write_text(settings.read_text() + f'POSTROAD["suppression"] = {value}\n')

    def submit(self, *recipients):
        with postroad.Mailer("discard://", queue=self.queue, submit_only=True) as mail:
            for to in recipients:
                mail.submit(compose(to), tag="june")


@pytest.fixture
def site(server, tmp_path):
    return Site(tmp_path, server.url)


def test_the_queue_of_the_site_is_looked_after_by_a_command(site):
    site.submit("one@x.example", "two@x.example")
    assert "two@x.example" in site.manage("postroad", "queue").stdout
    assert site.manage("postroad", "queue", "hold", "--all").stdout == "2\n"
    assert "held: 2" in site.manage("postroad", "queue", "count").stdout
    wrong = site.manage("postroad", "queue", "drop")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (64, 1)
    assert "say which: --all" in wrong.stderr


def test_what_the_command_cannot_say_has_its_status(site):
    site.submit("one@x.example")
    with open("/dev/full", "w") as full:
        site.place["stdout"] = full
        done = site.manage("postroad", "queue")
    assert done.returncode == 73
    assert "not all was said" in done.stderr


def test_the_site_sends_by_a_command(site, server):
    site.submit("one@x.example")
    assert site.manage("postroad", "run", "--drain").returncode == 0
    assert len(server.messages) == 1
    site.submit("deferred@x.example")
    assert site.manage("postroad", "run", "--drain", "--log", "json").returncode == 75
    running = subprocess.Popen([sys.executable, "-m", "django", "postroad", "run"], **site.place)
    site.submit("two@x.example")
    while "two@x.example" not in (line := running.stderr.readline()):
        assert line
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=60)
    assert running.returncode == 0
    assert len(server.messages) == 2


def test_a_site_without_a_queue_is_told(site):
    settings = site.place["cwd"] / "site_settings.py"
    settings.write_text(settings.read_text() + 'POSTROAD = {"url": "discard://"}\n')
    for what in ("run", "queue"):
        done = site.manage("postroad", what)
        assert done.returncode == 64
        assert done.stderr == 'CommandError: settings.POSTROAD has no "queue"\n'


def test_the_journal_and_who_gets_no_mail_are_looked_at_by_commands(site):
    site.submit("one@x.example", "rejected@x.example")
    site.manage("postroad", "run", "--drain")
    assert "rejected@x.example" in site.manage("postroad", "journal", "--status", "rejected").stdout
    assert site.manage("postroad", "journal", "--tag", "july").stdout == ""
    missing = site.manage("postroad", "suppress", "list")
    assert missing.stderr == 'CommandError: settings.POSTROAD has no "suppression"\n'
    site.suppresses()
    missing = site.manage("postroad", "suppress", "list")
    assert (missing.returncode, missing.stderr.count("\n")) == (66, 1)
    assert site.manage("postroad", "suppress", "add", "one@x.example").stdout == "1\n"
    assert site.manage("postroad", "suppress", "check", "one@x.example").returncode == 69
    wrong = site.manage("postroad", "suppress", "add", "one")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (65, 1)


def test_a_list_that_is_no_file_is_not_looked_into(site):
    site.suppresses('{"one@x.example"}')
    wrong = site.manage("postroad", "suppress", "list")
    assert wrong.returncode == 64
    assert "neither a file nor a SuppressionList" in wrong.stderr
    site.suppresses('__import__("postroad").SuppressionList("list.db")')
    assert site.manage("postroad", "suppress", "list").returncode == 0


def test_a_queue_at_a_broker_is_looked_for_there(site):
    settings = site.place["cwd"] / "site_settings.py"
    given = {"url": "discard://", "queue": "amqp://ann:geheim@127.0.0.1:1/", "queue_name": "site"}
    for more, why in (({}, "127.0.0.1:1"), ({"queue_shards": 1000}, "queue_shards"), ({"queue_name": "\0"}, "queue")):
        settings.write_text(settings.read_text() + f"POSTROAD = { ({**given, **more})!r}\n")
        done = site.manage("postroad", "queue", "count")
        assert done.returncode == (64 if more else 75)
        assert done.stderr.startswith("CommandError: ")
        assert why in done.stderr
        assert "geheim" not in done.stderr
    assert "nobody can look" not in done.stderr


ADMIN = """
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.test import Client
call_command("migrate", verbosity=0)
User.objects.create_superuser("root", password="x")
page = PAGE
def client(name):
    c = Client(enforce_csrf_checks=True)
    c.force_login(User.objects.get(username=name))
    return c
def post(c, **data):
    c.get(page)
    return c.post(page, {**data, "csrfmiddlewaretoken": c.cookies["csrftoken"].value}).status_code
import os, postroad
queue = postroad.Queue("outbox.db") if os.path.exists("outbox.db") else None
def staff(name, *permissions):
    u = User.objects.create_user(name, password="x", is_staff=True)
    u.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return client(name)
"""
ADMIN, SETTLED, SUPPRESSED = (
    ADMIN.replace("PAGE", f'"/postroad/{name}/"') for name in ("queuedmessage", "settledmessage", "suppressedaddress")
)


def test_the_admin_shows_the_queue_and_does_what_it_is_told(site):
    site.submit("one@x.example", "<script>@x.example".replace("<script>", '"<b>"'))
    out = site.program(
        ADMIN
        + """
root = client("root")
text = root.get(page).content.decode()
assert "one@x.example" in text and "june" in text and "waiting: 2" in text
assert "<b>" not in text and "&lt;b&gt;" in text
assert "messages in the queue" in root.get("/").content.decode().lower()
ids = [j.id for j in queue.jobs()]
assert root.post(page, {"what": "drop", "id": ids}).status_code == 403  # without the token of the form
assert post(root, what="hold", id=ids) == 302
assert queue.count().by_state["held"] == 2
shown = root.get(page).content.decode()
assert "Hold: 2 of 2 messages" in shown
assert "Nothing is there" in root.get(page + "?state=failed").content.decode()
assert post(root, what="retry", id=[ids[0], "x", 999]) == 302
assert queue.count().by_state["held"] == 1
assert post(root, what="drop", id=ids[:1]) == 302
assert queue.count().total == 1
assert post(root, what="burn", id=ids) == 403
print("ok")
"""
    )
    assert out == "ok\n"


def test_the_admin_asks_for_permissions(site):
    site.submit("one@x.example")
    out = site.program(
        ADMIN
        + """
ann = User.objects.create_user("ann", password="x", is_staff=True)
assert client("ann").get(page).status_code == 403
ann.user_permissions.add(Permission.objects.get(codename="view_queuedmessage"))
assert client("ann").get(page).status_code == 200
assert "Drop" not in client("ann").get(page).content.decode()
(job,) = queue.jobs()
for what in ("retry", "hold", "drop"):
    assert post(client("ann"), what=what, id=[job.id]) == 403
ann.user_permissions.add(Permission.objects.get(codename="change_queuedmessage"))
assert post(client("ann"), what="hold", id=[job.id]) == 302
assert post(client("ann"), what="drop", id=[job.id]) == 403
assert Client().get(page).status_code == 302  # to log in
print(queue.count().total)
"""
    )
    assert out == "1\n"


def test_the_admin_says_why_there_is_no_queue(site):
    settings = site.place["cwd"] / "site_settings.py"
    settings.write_text(settings.read_text() + 'POSTROAD = {"url": "discard://", "queue": "amqp://localhost"}\n')
    out = site.program(ADMIN + "print('nobody can look into' in client('root').get(page).content.decode())")
    assert out == "True\n"


def test_the_admin_shows_what_became_of_messages(site):
    site.submit("one@x.example", "rejected@x.example")
    site.manage("postroad", "run", "--drain")
    out = site.program(
        SETTLED
        + """
root = client("root")
text = root.get(page).content.decode()
assert "one@x.example (accepted)" in text and "rejected@x.example (rejected): 550 " in text, text
assert "Nothing is there" not in text
one = root.get(page + "?status=accepted").content.decode()
assert "one@x.example" in one and "rejected@x.example" not in one
assert "Nothing is there" in root.get(page + "?tag=july").content.decode()
assert "one@x.example" in root.get(page + "?tag=june&status=burnt").content.decode()
assert "messages in the journal" in root.get("/").content.decode().lower()
assert post(root, what="drop") == 403
assert staff("ann").get(page).status_code == 403
assert staff("bob", "view_settledmessage").get(page).status_code == 200
print("ok")
"""
    )
    assert out == "ok\n"


def test_the_admin_says_who_gets_no_mail_and_changes_it(site):
    site.suppresses()
    out = site.program(
        SUPPRESSED
        + """
import json
root = client("root")
assert "Nothing is there" in root.get(page).content.decode()
assert post(root, what="add", address="<b>@x.example") == 200  # and says what is wrong
assert "errornote" in root.post(page, {"what": "add", "address": "one",
    "csrfmiddlewaretoken": root.cookies["csrftoken"].value}).content.decode()
assert post(root, what="add", address=" one@x.example", reason="complaint") == 302
assert post(root, what="add", address="two@x.example", tenant="acme") == 302
text = root.get(page).content.decode()
assert "Added: two@x.example" in text and "2 in all" in text
found = postroad.SuppressionList("list.db")
assert (found.find("one@x.example").reason, found.find("one@x.example").source) == ("complaint", "root")
one = root.get(page + "?address=one@x.example").content.decode()
assert "complaint" in one and "two@x.example" not in one
assert "Nothing is there" in root.get(page + "?address=two@x.example").content.decode()
assert "two@x.example" in root.get(page + "?address=two@x.example&tenant=acme").content.decode()
assert "errornote" in root.get(page + "?address=x").content.decode()
boxes = [json.dumps(["two@x.example", "acme", ""]), json.dumps(["one@x.example", "", "no"]), "[1]", "["]
assert post(root, what="remove", entry=boxes) == 302
assert [e.address for e in found.entries()] == ["one@x.example"]
ann = staff("ann", "view_suppressedaddress")
assert "Remove" not in ann.get(page).content.decode()
assert [post(ann, what=w, entry=boxes, address="a@x.example") for w in ("add", "remove", "burn")] == [403] * 3
bob = staff("bob", "view_suppressedaddress", "add_suppressedaddress")
assert post(bob, what="add", address="a@x.example") == 302
assert post(bob, what="remove", entry=boxes) == 403
print(len(found))
"""
    )
    assert out == "2\n"


def test_the_admin_says_why_there_is_no_list(site):
    text = "settings.POSTROAD has no &quot;suppression&quot;"
    out = site.program(SUPPRESSED + f"print({text!r} in client('root').get(page).content.decode())")
    assert out == "True\n"


def test_who_logs_waits_for_no_server(make_server, tmp_path):
    server = make_server(stall="EHLO")
    site = Site(tmp_path, server.url)
    settings = tmp_path / "site_settings.py"
    settings.write_text(settings.read_text() + f"POSTROAD = {{'url': {server.url!r}, 'close_timeout': 0}}\n")
    out = site.program(
        """
        import logging
        from postroad.django import AdminEmailHandler
        handler = AdminEmailHandler()
        for i in range(150):  # more than there is room for
            handler.handle(logging.makeLogRecord({"levelno": logging.ERROR, "levelname": "ERROR", "msg": f"no {i}"}))
        from postroad._shared import _mailers
        (mailer,) = _mailers.values()
        print(mailer.count().total)
        """
    )
    assert out == "100\n"


def test_admins_are_told(site, server):
    site.program(
        """
        import logging
        from postroad.django import AdminEmailHandler
        from django.core import mail
        handler = AdminEmailHandler(include_html=True)
        handler.handle(logging.makeLogRecord({"levelno": logging.ERROR, "levelname": "ERROR", "msg": "it broke"}))
        from django.test.utils import override_settings
        with override_settings(EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend"):
            handler.handle(logging.makeLogRecord({"levelno": logging.ERROR, "levelname": "ERROR", "msg": "no mail"}))
            assert len(mail.outbox) == 1
        """
    )
    (job,) = postroad.Queue(site.queue).jobs()
    assert job.recipients == (("ops@example.com", "not_attempted"),)


def test_admins_are_told_however_much_waits_in_the_queue(site):
    site.submit(*[f"reader{i}@x.example" for i in range(101)])
    site.program(
        """
        import logging
        from postroad.django import AdminEmailHandler
        AdminEmailHandler().handle(logging.makeLogRecord({"levelno": logging.ERROR, "levelname": "ERROR", "msg": "no"}))
        """
    )
    assert ("ops@example.com", "not_attempted") in postroad.Queue(site.queue).jobs(limit=102)[-1].recipients


def test_options_of_an_alias_are_those_of_a_mailer(server, tmp_path):
    """As Django 6.1 makes a backend of MAILERS."""
    site = Site(tmp_path, "smtp+insecure://127.0.0.1:1")
    out = site.program(
        f"""
        from postroad.django import EmailBackend
        from django.core.mail import EmailMessage
        def send(**options):
            backend = EmailBackend(alias="default", **options)
            return backend.send_messages([EmailMessage("Hi", "x", "a@x.example", ["b@x.example"])])
        print(send(url={server.url!r}, connections=1), send(host="127.0.0.1", port={server.port}),
              send(url="discard://", configuration="test"))
        """
    )
    assert out == "1 1 1\n"
    assert len(server.messages) == 2


@pytest.fixture
def aliases(server, tmp_path):
    """A site that has MAILERS and none of the settings before them."""
    site = Site(tmp_path, server.url)
    settings = tmp_path / "site_settings.py"
    kept = [line for line in settings.read_text().splitlines() if not line.startswith(("EMAIL_", "POSTROAD", "ADMINS"))]
    of_a_queue = {"url": server.url, "queue": str(site.queue), "submit_only": True}
    mailers = {
        "default": {"BACKEND": "postroad.django.EmailBackend", "OPTIONS": {"url": server.url}},
        "queued": {"BACKEND": "postroad.django.EmailBackend", "OPTIONS": of_a_queue},
        "test": {"BACKEND": "postroad.django.MemoryBackend"},
        "wrong": {"BACKEND": "postroad.django.EmailBackend", "OPTIONS": {"url": server.url, "colour": "red"}},
        "nowhere": {"BACKEND": "postroad.django.EmailBackend"},
        "smtp": {"OPTIONS": {"host": "127.0.0.1", "port": server.port}},
    }
    settings.write_text("\n".join([*kept, 'ADMINS = ["ops@example.com"]', f"MAILERS = {mailers!r}", ""]))
    return site


def of_mailers(test):
    """MAILERS is of Django 6.1: before, there is nothing to test."""
    return test if django.VERSION >= (6, 1) else None


@of_mailers
def test_aliases_of_mailers_send(aliases, server):
    out = aliases.program(
        """
        from django.core import mail
        from django.core.mail import EmailMessage, mailers, send_mail, send_mass_mail
        print(send_mail("Hi", "x", "a@x.example", ["one@x.example"]))
        letter = EmailMessage("Hi", "x", "a@x.example", ["two@x.example"], headers={"X-Postroad-Tag": "june"})
        letter.postroad = {"delay": 600}
        print(letter.send(using="queued"))
        print(send_mass_mail([("Hi", "x", "a@x.example", [to]) for to in ("b@x.example", "c@x.example")]))
        print(EmailMessage("Hi", "x", "a@x.example", ["d@x.example"]).send(using="test"), len(mail.outbox))
        print(mailers["queued"].send_messages([EmailMessage("Hi", "x", "a@x.example", ["three@x.example"])]))
        for alias in ("nowhere", "wrong"):
            try:
                mailers[alias]
            except mail.InvalidMailer as e:
                print(e)
        """
    )
    *sent, nowhere, wrong = out.splitlines()
    assert sent == ["1", "1", "2", "1 1", "1"]
    assert nowhere.startswith("MAILERS['nowhere']: OPTIONS must define 'host'.")
    assert "colour" in wrong
    assert sorted(m.recipients[0][0] for m in server.messages) == ["b", "c", "o"]
    jobs = postroad.Queue(aliases.queue).jobs()
    assert sorted((job.tag, job.state) for job in jobs) == [("", "waiting"), ("june", "delayed")]
    assert "three@x.example" in aliases.manage("postroad", "queue").stdout


@of_mailers
@pytest.mark.parametrize("alias", ["default", "queued", "test", "smtp"])
def test_admins_are_told_by_an_alias(aliases, server, alias):
    aliases.program(
        f"""
        import logging
        from postroad.django import AdminEmailHandler
        handler = AdminEmailHandler(using={alias!r})
        handler.handle(logging.makeLogRecord({{"levelno": logging.ERROR, "levelname": "ERROR", "msg": "it broke"}}))
        """
    )
    jobs = postroad.Queue(aliases.queue).jobs() if alias == "queued" else []
    expected = {"queued": (0, 1), "test": (0, 0)}.get(alias, (1, 0))
    assert (len(server.messages), len(jobs)) == expected
