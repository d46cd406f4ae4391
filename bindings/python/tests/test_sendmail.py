"""sendmail and mailq: by the arguments that other programs give, and by those programs where they are installed."""

from __future__ import annotations

import email
import email.policy
import io
import os
import shutil
import subprocess
import sys
import types

import postroad
import pytest
from postroad import _sendmail
from postroad.__main__ import main

GIT = shutil.which("git")
GIT_SENDS = GIT and os.path.exists(
    os.path.join(subprocess.check_output([GIT, "--exec-path"], text=True).strip(), "git-send-email")
)


@pytest.fixture
def configure(tmp_path, monkeypatch):
    file = tmp_path / "postroad.toml"
    monkeypatch.setenv("POSTROAD_CONFIG", str(file))

    def write(server=None, more=""):
        account = f'[accounts.relay]\nurl = "{server.url}"\n' if server else ""
        file.write_text(f'sender = "web@example.com"\ndomain = "web1.example.com"\n{more}\n{account}')

    return write


@pytest.fixture
def sendmail(monkeypatch):
    def run(arguments, octets=b"Subject: Hi\n\nHello.\n", name="sendmail"):
        monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(octets)))
        return _sendmail.main(name, arguments)

    return run


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A folder with sendmail and mailq in it, as an administrator links them."""
    command = os.path.join(os.path.dirname(sys.executable), "postroad")
    folder = tmp_path / "sbin"
    folder.mkdir()
    for name in ("sendmail", "mailq", "newaliases"):
        (folder / name).symlink_to(command)
    monkeypatch.setenv("HOME", str(tmp_path))
    return folder


def only(server):
    (received,) = server.messages
    return received, email.message_from_bytes(received.content, policy=email.policy.default)


CRON = (
    b"From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@web1> backup\nMIME-Version: 1.0\n"
    b"Content-Type: text/plain; charset=UTF-8\nX-Cron-Env: <SHELL=/bin/sh>\n\ndisk is full\n"
)


@pytest.mark.parametrize(
    "arguments",
    [
        ["-i", "-FCronDaemon", "-B8BITMIME", "-oem", "root"],  # Debian
        ["-FCronDaemon", "-i", "-odi", "-oem", "-oi", "-t", "-f", "root"],  # cronie
        ["-FCronDaemon", "-odi", "-oem", "-oi", "-t"],  # vixie
    ],
)
def test_cron(server, configure, sendmail, arguments):
    configure(server, '[aliases]\nroot = ["ann@example.org", "bob@example.org"]')
    assert sendmail(arguments, CRON) == 0
    received, m = only(server)
    assert (received.sender, received.recipients) == ("web@example.com", ["ann@example.org", "bob@example.org"])
    assert m["From"] == "Cron Daemon <web@example.com>"
    assert m["To"] == "root@web1.example.com"
    assert m["Subject"] == "Cron <root@web1> backup"
    assert m["Date"] is not None
    assert m["Message-ID"].endswith("@example.com>")
    assert m.get_content().rstrip() == "disk is full"


@pytest.mark.parametrize(
    ("arguments", "sender", "recipients"),
    [
        (["-t", "-i"], "web@example.com", ["to@x.example", "cc@x.example", "bcc@x.example"]),  # PHP
        (["-ti", "-fbounce@x.example"], "bounce@x.example", ["to@x.example", "cc@x.example", "bcc@x.example"]),
        (
            ["-oem", "-oi", "-f", "ann@x.example", "--", "a@y.example", "b@y.example"],
            "ann@x.example",
            ["a@y.example", "b@y.example"],
        ),  # mutt
        (
            ["-oem", "-oi", "-B8BITMIME", "-N", "failure,delay", "-R", "hdrs", "--", "a@y.example"],
            "web@example.com",
            ["a@y.example"],
        ),
        (["-i", "a@y.example"], "web@example.com", ["a@y.example"]),  # git send-email, at
        (["-i", "-f", "<>", "a@y.example"], "", ["a@y.example"]),
        (["-i", "-r", "r@x.example", "a@y.example, b@y.example"], "r@x.example", ["a@y.example", "b@y.example"]),
        (
            ["-t", "-i", "a@y.example"],
            "web@example.com",
            ["a@y.example", "to@x.example", "cc@x.example", "bcc@x.example"],
        ),
        (
            ["-bm", "-v", "-n", "-U", "-O", "DeliveryMode=b", "-Am", "-odb", "-oi", "a@y.example"],
            "web@example.com",
            ["a@y.example"],
        ),
    ],
)
def test_the_envelope(server, configure, sendmail, arguments, sender, recipients):
    configure(server)
    octets = b"From: me@x.example\nTo: To <to@x.example>\nCc: cc@x.example\nBcc: bcc@x.example\nSubject: s\n\nx\n"
    assert sendmail(arguments, octets) == 0
    received, m = only(server)
    assert (received.sender, received.recipients) == (sender, recipients)
    assert m["Bcc"] is None
    assert m["From"] == "me@x.example"


@pytest.mark.parametrize(
    ("alias", "recipients"),
    [
        ('root = "root"', ["root@web1.example.com"]),
        ('root = ["root", "ann@x.example"]', ["root@web1.example.com", "ann@x.example"]),
        ('root = "Ann Lee <ann>"', ["ann@web1.example.com"]),
    ],
)
def test_an_alias_may_stand_for_itself_and_for_local_names(server, configure, sendmail, alias, recipients):
    configure(server, f"[aliases]\n{alias}")
    assert sendmail(["root"], b"Hello.\n") == 0
    assert server.messages[0].recipients == recipients


@pytest.mark.parametrize("name", ["Root", "ROOT@web1.example.com", "root"])
def test_case_tells_no_aliases_apart(server, configure, sendmail, name):
    configure(server, '[aliases]\nrOOT = ["Root", "ann@x.example"]')
    assert sendmail([name], b"Hello.\n") == 0
    assert server.messages[0].recipients == ["Root@web1.example.com", "ann@x.example"]


@pytest.mark.parametrize("aliases", ["root = []", 'root = "ann"\nann = "root"'])
def test_an_alias_that_leads_to_nobody_is_named(server, configure, sendmail, capsys, aliases):
    configure(server, f"[aliases]\n{aliases}")
    assert sendmail(["root"], b"Hello.\n") == 78
    assert "the alias 'root' leads to nobody" in capsys.readouterr().err


def test_a_line_with_a_dot_ends_it_unless_i_says_no(server, configure, sendmail):
    configure(server)
    assert sendmail(["a@y.example"], b"Subject: s\n\none\n.\ntwo\n") == 0
    assert sendmail(["-i", "a@y.example"], b"Subject: s\n\none\n.\ntwo\n") == 0
    first, second = (m.content.partition(b"\r\n\r\n")[2] for m in server.messages)
    assert (first, second) == (b"one\r\n", b"one\r\n.\r\ntwo\r\n")


@pytest.mark.parametrize("octets", [b"disk is full\n", b"\ndisk is full\n"])
def test_what_has_no_header_is_text(server, configure, sendmail, octets):
    configure(server)
    assert sendmail(["-FDisk Watch", "-i", "a@y.example"], octets) == 0
    m = only(server)[1]
    assert m["From"] == "Disk Watch <web@example.com>"
    assert m.get_payload() == "disk is full\r\n"


@pytest.mark.parametrize("arguments", [["-bi"], ["-I"]])
def test_aliases_need_no_table_of_their_own(server, configure, sendmail, arguments):
    configure(server)
    assert sendmail(arguments, b"") == 0
    assert not server.messages


def test_an_account_goes_by_the_sender(make_server, configure, sendmail):
    usual, work = make_server(), make_server()
    configure(usual, f'account = "relay"\n[accounts.work]\nurl = "{work.url}"\nsenders = ["*@work.example"]')
    assert sendmail(["-i", "a@y.example"], b"From: Ann <ann@work.example>\n\nx\n") == 0
    assert sendmail(["-i", "-f", "b@work.example", "a@y.example"]) == 0
    assert sendmail(["-i", "-f", "b@home.example", "a@y.example"]) == 0
    assert (len(usual.messages), len(work.messages)) == (1, 2)


@pytest.mark.parametrize(
    ("arguments", "octets", "status", "says"),
    [
        (["-Z", "a@x.example"], b"x\n", 64, "-Z is not known"),
        (["-f"], b"x\n", 64, "-f needs a value"),
        (["-bs"], b"", 64, "speaks no SMTP"),
        (["-q15m"], b"", 64, "postroad run"),
        (["--help"], b"", 64, "the option --help is not known"),
        ([], b"x\n", 65, "use -t"),
        (["-t"], b"Subject: x\n\nx\n", 65, "name nobody"),
        (["bob@x.example", "-t"], b"x\n", 64, "-t stands behind a recipient: write options first"),
        (["-i", "-R", "foo", "a@x.example"], b"x\n", 64, "write full or hdrs"),
        (["-i", "rejected@x.example"], b"x\n", 69, "rejected@x.example rejected 550"),
        (["-i", "deferred@x.example"], b"x\n", 75, "deferred@x.example deferred 451"),
    ],
)
def test_the_exit_status_is_that_of_sysexits(server, configure, sendmail, capsys, arguments, octets, status, says):
    configure(server)
    assert sendmail(arguments, octets) == status
    assert says in capsys.readouterr().err


FIELDS = b"To: %s\nCc: cid@y.example\nBcc: dan@z.example\nSubject: s\n\nx\n"


@pytest.mark.parametrize(
    "to",
    [
        b"bob@x.example (work",
        b"Bob (sales <bob@x.example>",
        b'"Bob <bob@x.example>',
        b"<bob@x.example",
        b"bob@x.example: ann@x.example",
        b"bob@x.example ann@x.example",
        b"Bob Smith",
        b"root (, eve@y.example",
    ],
)
@pytest.mark.parametrize("field", ["To", "Cc", "Bcc", "Resent-To"])
def test_a_field_that_cannot_be_read_refuses_the_message_and_hides_no_other(
    server, configure, sendmail, capsys, to, field
):
    configure(server)
    octets = b"%s: %s\n" % (field.encode(), to) + FIELDS % b"ann@x.example"
    assert sendmail(["-t", "-i"], octets) == 65
    assert f"postroad: invalid_address: {field}: " in capsys.readouterr().err
    assert server.messages == []


@pytest.mark.parametrize(
    "given", ["a@x.example: b@y.example", "a@x.example (", '"a@x.example', "a b@x.example", "", ","]
)
def test_an_argument_that_names_nobody_refuses_the_message(server, configure, sendmail, capsys, given):
    configure(server)
    assert sendmail(["-i", given, "c@z.example"]) == 65
    assert "postroad: invalid_address: a recipient: " in capsys.readouterr().err
    assert server.messages == []


def test_semicolons_stand_between_addresses_as_outlook_writes_them(server, configure, sendmail):
    configure(server)
    assert sendmail(["-t", "-i"], b"To: bob@x.example; ann@x.example\nSubject: s\n\nx\n") == 0
    assert server.messages[0].recipients == ["bob@x.example", "ann@x.example"]


def test_a_list_without_a_space_is_long_as_any(server, configure, sendmail):
    configure(server)
    to = ",".join(['"Lee, Ann" <ann@example.org>', *(f"p{n}@example.org" for n in range(80))])
    assert sendmail(["-t", "-i"], f"To: {to}\n\nHello.\n".encode()) == 0
    received, m = only(server)
    assert len(received.recipients) == 81
    assert m["To"].addresses[0].display_name == "Lee, Ann"
    assert len(m["To"].addresses) == 81


def test_an_argument_is_no_field(server, configure, sendmail):
    configure(server)
    assert sendmail(["-i", "a@x.example\nBcc: eve@y.example"]) == 65
    assert server.messages == []


@pytest.mark.parametrize(
    ("to", "recipients"),
    [
        (b"[Sales] Bob <bob@x.example>, ", ["bob@x.example"]),
        (b"bob@x.example <bob@x.example>", ["bob@x.example"]),
        (b"B\xf6b <bob@x.example>", ["bob@x.example"]),
        (b"bob@x.example (work (at (the) end))", ["bob@x.example"]),
        (b"undisclosed-recipients:;", []),
        (b"Team: root, bob@x.example;", ["root@web1.example.com", "bob@x.example"]),
        (b'"Bob, B." <root> (he),\n\tbob@x.example', ["root@web1.example.com", "bob@x.example"]),
        (b'"(" <bob@x.example>, "a, <b" <c@x.example>', ["bob@x.example", "c@x.example"]),
    ],
)
def test_fields_are_read_as_programs_write_them(server, configure, sendmail, to, recipients):
    configure(server)
    assert sendmail(["-t", "-i"], LATIN + FIELDS % to) == 0
    received, m = only(server)
    assert received.recipients == [*recipients, "cid@y.example", "dan@z.example"]
    assert [a for a in recipients if a.encode() not in received.content] == []
    assert m["Cc"] == "cid@y.example"


def test_a_name_that_is_given_begins_no_field(server, configure, sendmail):
    configure(server)
    name = "Bob\nReply-To: eve@evil.example\r\nContent-Type: text/html\n\n<b>pay here</b>"
    assert sendmail(["-i", "-F", name, "bob@x.example"]) == 0
    m = only(server)[1]
    assert m["From"].addresses[0].display_name.startswith("Bob Reply-To")
    assert (m["Reply-To"], m["Content-Type"], m.get_payload()) == (None, None, "Hello.\r\n")


LATIN = b"Content-Type: text/plain; charset=iso-8859-1\n"


@pytest.mark.parametrize(
    ("more", "arguments", "octets", "author"),
    [
        (
            '[accounts.x]\nurl = "{url}"\nsender = "j\u00f6rg@x.example"',
            [],
            b"From: root\n\nx\n",
            "j\u00f6rg@x.example",
        ),
        ("", ["-f", "j\u00f6rg@x.example"], b"Subject: s\n\nx\n", "j\u00f6rg@x.example"),
        ("", [], LATIN + b"From: J\xf6rg <root>\n\nx\n", "J\u00f6rg <web@example.com>"),
        ("", [], b"From: root (J\xf6rg)\n\nx\n", "J\ufffdrg <web@example.com>"),
        ("", ["-F", "J\udcf6rg"], b"Subject: s\n\nx\n", "J\ufffdrg <web@example.com>"),
        ("", ["-F", "J\u00f6rg"], b"Subject: s\n\nx\n", "J\u00f6rg <web@example.com>"),
        (
            '[accounts.x]\nurl = "{url}"\nsender = \'"Web, Inc." <w@x.example>\'\n',
            [],
            b"x\n",
            '"Web, Inc." <w@x.example>',
        ),
        ("", ["-f", "Bob <b@x.example>"], b"x\n", "Bob <b@x.example>"),
    ],
)
def test_names_and_addresses_may_hold_anything(server, configure, sendmail, more, arguments, octets, author):
    configure(None if more else server, more.format(url=server.url))
    assert sendmail(["-i", *arguments, "a@y.example"], octets) == 0
    m = only(server)[1]
    assert author in (str(m["From"]), m["From"].addresses[0].addr_spec)
    assert m["Message-ID"].endswith(f"{m['From'].addresses[0].domain}>")


def test_a_sender_that_is_no_character_is_refused(server, configure, sendmail, capsys):
    configure(server)
    assert sendmail(["-i", "-f", "j\udcf6rg@x.example", "a@y.example"]) == 65
    assert "charset of the locale" in capsys.readouterr().err


def test_oeq_says_nothing(server, configure, sendmail, capsys):
    configure(server)
    assert sendmail(["-oeq", "-i", "rejected@x.example"]) == 69
    assert capsys.readouterr().err == ""


def test_a_server_that_is_away_is_for_later(closed_port, configure, sendmail):
    configure(types.SimpleNamespace(url=f"smtp+insecure://127.0.0.1:{closed_port}"))
    assert sendmail(["-i", "a@x.example"]) == 75


def test_a_queue_takes_mail_without_a_server_and_mailq_shows_it(configure, sendmail, tmp_path, capsys):
    queue = tmp_path / "queue.db"
    configure(more=f'queue = "{queue}"')
    assert sendmail([], name="mailq") == 0
    assert capsys.readouterr().out == "Mail queue is empty\n"
    assert sendmail(["-R", "foo", "a@y.example"]) == 64
    assert "write full or hdrs" in capsys.readouterr().err
    assert sendmail(["-i", "-N", "failure", "-f", "ann@x.example", "a@y.example", "b@y.example"]) == 0
    (job,) = postroad.Queue(queue).jobs()
    assert (job.sender, [a for a, _ in job.recipients]) == ("ann@x.example", ["a@y.example", "b@y.example"])
    for name, arguments in (("mailq", []), ("sendmail", ["-bp"])):
        assert sendmail(arguments, name=name) == 0
        out = capsys.readouterr().out
        assert "ann@x.example" in out
        assert "b@y.example" in out
        assert "in 1 messages" in out


def test_mailq_without_a_queue_says_where_to_write_one(server, configure, sendmail, capsys):
    configure(server)
    assert sendmail(["-bp"]) == 78
    assert "write queue into the configuration" in capsys.readouterr().err


def test_the_command_is_sendmail_by_its_name_and_as_its_first_word(server, configure, programs, monkeypatch):
    configure(server)
    mail = b"Subject: s\n\nx\n"
    for command in ([str(programs / "sendmail")], [sys.executable, "-m", "postroad", "sendmail"]):
        done = subprocess.run([*command, "-i", "a@y.example"], input=mail, capture_output=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, b"")
    assert len(server.messages) == 2
    assert subprocess.run([programs / "newaliases"], timeout=60).returncode == 0
    assert subprocess.run([programs / "mailq"], capture_output=True, timeout=60).returncode == 78
    assert main(["newaliases"]) == 0


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_who_calls_may_have_closed_standard_streams(server, configure, programs, closed):
    configure(server)
    for address, status in (("a@y.example", 0), ("rejected@y.example", 69)):
        line = f"printf 'Subject: s\\n\\nx\\n' | {{ {programs / 'sendmail'} -i {address} {closed}; }}"
        assert subprocess.run(["sh", "-c", line], timeout=60).returncode == status
    assert len(server.messages) == 1


@pytest.mark.parametrize(
    "error", [KeyError("getpwuid(): uid not found: 12345"), OSError("No username set"), ImportError()]
)
def test_who_has_no_name_is_told_to_give_a_sender(server, configure, sendmail, monkeypatch, capsys, error):
    def nobody():
        raise error

    monkeypatch.setattr(_sendmail.getpass, "getuser", nobody)
    configure(server)
    assert sendmail(["-f", "<>", "a@y.example"], b"From: ann@example.com\n\nx\n") == 0
    assert only(server)[0].sender == ""
    assert sendmail(["-f", "<>", "a@y.example"]) == 65
    assert "no_sender: this user has no name: give the sender as -f" in capsys.readouterr().err


@pytest.mark.skipif(not shutil.which("php"), reason="php is not installed")
def test_php(server, configure, programs):
    configure(server)
    code = """exit(mail("bob@example.org", "Hi there", "Hello\\n.\\nBob",
        "From: Shop <shop@example.com>\\r\\nBcc: cid@example.org", "-fbounces@example.com") ? 0 : 1);"""
    command = ["php", "-d", f"sendmail_path={programs / 'sendmail'} -t -i", "-r", code]
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, b"")
    received, m = only(server)
    assert (received.sender, received.recipients) == ("bounces@example.com", ["bob@example.org", "cid@example.org"])
    assert (m["From"], m["Subject"], m["Bcc"]) == ("Shop <shop@example.com>", "Hi there", None)
    assert m.get_content().splitlines() == ["Hello", ".", "Bob"]


@pytest.mark.skipif(not GIT_SENDS, reason="git send-email is not installed")
def test_git_send_email(server, configure, programs, tmp_path):
    configure(server)
    work = tmp_path / "repository"
    work.mkdir()

    def git(*arguments):
        named = ["-c", "user.name=Jörg", "-c", "user.email=joerg@example.com"]
        done = subprocess.run([GIT, *named, *arguments], cwd=work, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr

    git("init", "-q")
    (work / "a").write_text("From the start\n.\n")
    git("add", "a")
    git("commit", "-q", "-m", "Grüße")
    git("format-patch", "-q", "--root", "HEAD")
    send = ["send-email", "--confirm=never", "--envelope-sender=joerg@example.com"]
    git(
        *send,
        f"--smtp-server={programs / 'sendmail'}",
        "--to=list@example.org",
        "--cc=bob@example.org",
        "0001-Gr-e.patch",
    )
    received, m = only(server)
    assert received.sender == "joerg@example.com"
    assert set(received.recipients) == {"list@example.org", "bob@example.org", "joerg@example.com"}
    assert m["Subject"] == "[PATCH] Grüße"
    assert "+." in m.get_content().splitlines()


# a machine of its own in what cron looks at, with one job
WITH_CRON = """set -e
mount -t tmpfs none "$1"
for place in etc usr/sbin; do
    mkdir -p "$1/$place/upper" "$1/$place/work"
    mount -t overlay none -o "lowerdir=/$place,upperdir=$1/$place/upper,workdir=$1/$place/work" "/$place"
done
for place in /run /etc/cron.d /var/spool/cron; do mount -t tmpfs none "$place"; done
mkdir /var/spool/cron/crontabs
cp "$2" /etc/postroad.toml
ln -sf "$3" /usr/sbin/sendmail
echo '@reboot root echo the disk is full' > /etc/crontab
exec "$4" -f"""
ALONE = ["unshare", "--mount", "--propagation", "private"]


@pytest.mark.skipif(not shutil.which("cron"), reason="cron is not installed")
@pytest.mark.skipif(subprocess.run([*ALONE, "true"], capture_output=True).returncode != 0, reason="it needs root")
def test_cron_itself(server, configure, programs, tmp_path):
    configure(server, '[aliases]\nroot = "ann@example.com"\n')
    (tmp_path / "machine").mkdir()
    given = [str(tmp_path / "machine"), os.environ["POSTROAD_CONFIG"], str(programs / "sendmail"), shutil.which("cron")]
    cron = subprocess.Popen([*ALONE, "sh", "-c", WITH_CRON, "sh", *given])
    try:
        for _ in range(50):
            if server.disconnected.wait(1) or cron.poll() is not None:
                break
        assert server.disconnected.is_set()
    finally:
        cron.kill()
        cron.wait()
    received, m = only(server)
    assert (received.sender, received.recipients) == ("web@example.com", ["ann@example.com"])
    assert (m["From"], m["To"]) == ("Cron Daemon <web@example.com>", "root@web1.example.com")
    assert m.get_content().strip() == "the disk is full"


@pytest.mark.skipif(not shutil.which("mutt"), reason="mutt is not installed")
def test_mutt(server, configure, programs, tmp_path):
    configure(server)
    (tmp_path / "report.txt").write_text("42\n")
    settings = [f"set sendmail='{programs / 'sendmail'} -oem -oi'", "set use_envelope_from=yes", "set copy=no"]
    settings += ["set from='ann@example.com'", "set realname='Ann'", "set dsn_notify='failure'", "set dsn_return=hdrs"]
    options = [o for s in settings for o in ("-e", s)]
    arguments = ["-s", "Report", "-a", str(tmp_path / "report.txt"), "-b", "cid@example.org", "--", "bob@example.org"]
    command = ["mutt", "-n", "-F", "/dev/null", *options, *arguments]
    done = subprocess.run(command, input=b"See there.\n", capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    received, m = only(server)
    assert (received.sender, sorted(received.recipients)) == ("ann@example.com", ["bob@example.org", "cid@example.org"])
    assert [p.get_filename() for p in m.iter_attachments()] == ["report.txt"]
    assert m["Bcc"] is None
