"""postroad completion, in the shells themselves."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from postroad.__main__ import main


def completed(script, words):
    quoted = " ".join(f"'{w}'" for w in words)
    asked = f"{script}\nCOMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}\n"
    asked += '_shtab_postroad postroad "${COMP_WORDS[COMP_CWORD]}" ""; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run([shutil.which("bash"), "-c", asked], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["postroad", "me"], ["merge"]),
        (["postroad", "send", "--trans"], ["--transcript"]),
        (["postroad", "merge", "--format", "c"], ["csv"]),
    ],
)
def test_bash_completes(capsys, words, found):
    assert main(["completion", "bash"]) == 0
    assert completed(capsys.readouterr().out, words) == found


def test_zsh_gets_its_own(capsys):
    assert main(["completion", "zsh"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("#compdef postroad")
    assert "--transcript" in said


def test_a_shell_that_is_not_known_is_refused(capsys):
    with pytest.raises(SystemExit) as e:
        main(["completion", "cmd"])
    assert e.value.code == 64
    assert "bash" in capsys.readouterr().err


def test_a_package_that_is_missing_is_named(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 69
    assert "pip install 'postroad[completion]'" in capsys.readouterr().err
