"""Files that are no regular ones: read, or refused, and never waited for."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import postroad
import pytest
from conftest import compose


@pytest.fixture(params=["fifo", "socket", "/dev/zero", "/dev/tty", "link"])
def special(request, tmp_path):
    path = tmp_path / "special"
    if request.param == "socket":
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(str(path))
    elif request.param == "fifo":
        os.mkfifo(path)
    elif request.param == "link":
        os.mkfifo(tmp_path / "target")
        path.symlink_to("target")
    else:
        path = Path(request.param)
    if not path.exists():
        pytest.skip("not here")
    return path


def letter():
    return postroad.Message(from_="ann@example.com", to="bob@example.org", subject="Hi", text="Hello.")


CALLS = {
    "send": lambda mail, path: mail.send(path),
    "submit": lambda mail, path: mail.submit(path),
    "attach": lambda mail, path: letter().attach(path),
    "attach inline": lambda mail, path: letter().attach(path, content_id="x", inline=True),
    "attach_message": lambda mail, path: letter().attach_message(path),
}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs POSIX files")
@pytest.mark.parametrize("call", CALLS)
def test_what_would_block_is_refused(server, special, call):
    with postroad.Mailer(server.url) as mail, pytest.raises(postroad.InvalidInput, match="regular file") as e:
        CALLS[call](mail, special)
    assert e.value.code == "unreadable_file"
    assert str(special) in str(e.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs POSIX files")
def test_one_of_many_that_would_block_stops_nothing(server, special):
    with postroad.Mailer(server.url) as mail:
        receipts = {r.index: r for r in mail.send_many([compose(), special, compose()])}
    assert receipts[1].error.code == "unreadable_file"
    assert receipts[0].all_accepted
    assert receipts[2].all_accepted


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs POSIX files")
def test_the_command_reads_what_can_be_read_once(server, tmp_path):
    from postroad.__main__ import main

    os.mkfifo(tmp_path / "pipe")
    threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(bytes(compose()),), daemon=True).start()
    assert main(["send", server.url, str(tmp_path / "pipe")]) == 0
    assert len(server.messages) == 1


def test_regular_files_folders_and_what_is_missing_are_as_before(server, tmp_path):
    (tmp_path / "a.eml").write_bytes(bytes(compose()))
    (tmp_path / "link.eml").symlink_to("a.eml")
    with postroad.Mailer(server.url) as mail:
        assert mail.send(tmp_path / "a.eml").all_accepted
        assert mail.send(tmp_path / "link.eml").all_accepted
        for wrong in (tmp_path, tmp_path / "missing"):
            with pytest.raises(postroad.InvalidInput):
                mail.send(wrong)
    letter().attach(tmp_path / "a.eml")
