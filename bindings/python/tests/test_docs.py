"""The code of docs/python*.md runs, from top to bottom of each page, and prints what the text says."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

PAGES = sorted((Path(__file__).parents[3] / "docs").glob("python*.md"))


def blocks_of(page):
    found = re.findall(r"```python\n(.*?)```\n+(?:prints `(.*?)`\.\n)?", page, re.DOTALL)
    assert len(found) == page.count("```python")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_the_code_of_the_page_runs(page, server, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "invoice.pdf").write_bytes(b"%PDF-1.7")
    subprocess.run(["openssl", "genrsa", "-out", "dkim.pem", "2048"], check=True, capture_output=True)
    names = {"__name__": "page"}
    for code, printed in blocks_of(page.read_text()):
        exec(code.replace("smtp://user:secret@smtp.example.com:587", server.url), names)
        out = capsys.readouterr().out
        if printed:
            assert out == printed + "\n"
    if page.name == "python.md":
        assert [index for index, _ in names["missed"]] == [2]
        assert all(r.all_accepted for r in names["receipts"])
