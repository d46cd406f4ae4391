"""Every pipelining mode against every server: with refusals among them, exactly the right messages arrive, once."""

import pytest

from fixtures import DOMAIN
from sending import MAILPIT, WAYS, numbered, numbers_in, send_folder, url_of, ways
from sink import wait_until

# way -> how many messages take the server some seconds, and who is refused
SERVERS = {
    "postfix-starttls": (1000, "nobody"),
    "submission-starttls": (300, "nobody"),
    "exim-implicit": (300, "nobody"),
    "opensmtpd-plain": (300, "nobody"),
    "haraka-plain": (300, "nobody"),
    "haraka-starttls": (300, "nobody"),
    "aiosmtpd-plain": (300, "nobody"),
    "aiosmtpd-implicit": (300, "nobody"),
    "maddy-plain": (300, "nobody"),
    "maddy-starttls": (300, "nobody"),
    "mailpit-plain": (300, "nobody"),
    "mailpit-starttls": (300, "nobody"),
    "lmtp-starttls": (300, "nobody"),
    "lmtp-unix": (1000, "full"),
}
MODES = {
    "lockstep": {"pipelining": "lockstep"},
    "envelope": {"pipelining": "envelope"},
    "across": {"pipelining": "across"},
    "window16": {"pipelining": "window"},
    "window64": {"pipelining": "window", "window": "64"},
    "automatic": {},
}


# Dovecot's submission server dies of it, see below.
DEADLY = ("submission-starttls", "across")
CASES = [(way, mode) for way in SERVERS for mode in MODES if (way, mode) != DEADLY]


@pytest.mark.parametrize(
    ("server", "url", "count", "refused", "mode"),
    [(*(WAYS | MAILPIT)[way], *SERVERS[way], mode) for way, mode in CASES],
    ids=[f"{way}-{mode}" for way, mode in CASES],
    indirect=["server"],
)
def test_many_messages_a_third_refused(server, url, count, refused, mode, tmp_path):
    statuses = {"alice": "accepted", refused: "rejected", "bob": "accepted"}
    sent: dict[str, list[int]] = {name: [] for name in statuses}
    for number in range(count):
        name = list(statuses)[number % 3]
        (tmp_path / f"{number:04}.eml").write_bytes(numbered(number, name))
        sent[name].append(number)
    run = send_folder(tmp_path, url_of(server, url, connections="2", **MODES[mode]), server.ca, sender="")
    assert run.code == 1
    assert len(run.reports) == count
    for name, numbers in sent.items():
        for number in numbers:
            said = run.recipients(f"{number:04}.eml")[f"{name}@{DOMAIN}"]
            assert said["status"] == statuses[name], said
    for name in ("alice", "bob"):
        assert numbers_in(server.wait(name, len(sent[name]))) == sent[name]
    assert server.messages(refused) == []


@ways("postfix-starttls", "exim-implicit", "opensmtpd-plain", "haraka-plain", "maddy-plain", "lmtp-starttls")
def test_what_a_refused_message_holds_is_no_command(server, url, tmp_path):
    # go-smtp, which maddy is made of, reads the octets of a BDAT that it refuses as commands.
    commands = f"RSET\r\nMAIL FROM:<eve@{DOMAIN}>\r\nRCPT TO:<bob@{DOMAIN}>\r\nDATA\r\nSubject: hers\r\n\r\n.\r\n"
    for number in range(60):
        refused = number % 3 == 0
        text = numbered(number, "nobody" if refused else "alice") + (commands.encode() if refused else b"")
        (tmp_path / f"{number:04}.eml").write_bytes(text)
    run = send_folder(tmp_path, url_of(server, url, pipelining="window", window="64"), server.ca, sender="")
    assert run.code == 1
    assert numbers_in(server.wait("alice", 40)) == [n for n in range(60) if n % 3]
    assert server.messages("bob") == []


@ways("exim-implicit", "postfix-starttls", "opensmtpd-plain", "lmtp-starttls")
def test_a_run_of_refusals_behind_a_wide_window(server, url, tmp_path):
    # Exim breaks the connection at the eleventh RSET behind one; Postfix says 421 at the twentieth error.
    names = {number: "nobody" if 150 <= number < 280 else "alice" for number in range(300)}
    for number, name in names.items():
        (tmp_path / f"{number:04}.eml").write_bytes(numbered(number, name))
    run = send_folder(
        tmp_path, url_of(server, url, connections="1", pipelining="window", window="64"), server.ca, sender=""
    )
    for number, name in names.items():
        said = run.recipients(f"{number:04}.eml")[f"{name}@{DOMAIN}"]
        assert said["status"] == ("accepted" if name == "alice" else "rejected"), (number, said)
    assert numbers_in(server.wait("alice", 170)) == [n for n, name in names.items() if name == "alice"]


@ways("submission-starttls")
def test_what_a_server_that_dies_of_overlapping_messages_leaves_open_is_in_doubt_once(server, url, tmp_path):
    # Dovecot 2.3: "Panic: smtp_server_transaction_finished: assertion failed: (conn->state.pending_rcpt_cmds == 0)"
    log = server.dir / "dovecot" / "dovecot.log"
    before = log.read_text().count("Panic")
    for number in range(60):
        (tmp_path / f"{number:04}.eml").write_bytes(numbered(number, "alice"))
    run = send_folder(tmp_path, url_of(server, url, connections="1", pipelining="across"), server.ca, sender="")
    statuses = [run.statuses(f"{number:04}.eml")["alice"] for number in range(60)]
    assert statuses.count("in_doubt") == 1, run.output
    assert statuses.count("accepted") == 59, run.output
    # the server had passed on the one it did not answer
    assert numbers_in(server.wait("alice", 60)) == list(range(60))
    wait_until(lambda: log.read_text().count("Panic") > before, "Dovecot logs its end")
    assert log.read_text().count("Panic") == before + 1
