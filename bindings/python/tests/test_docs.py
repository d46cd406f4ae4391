"""The code of docs/python.md runs, from top to bottom, and prints what the text says."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

PAGE = (Path(__file__).parents[3] / "docs/python.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```\n+(?:prints `(.*?)`\.\n)?", PAGE, re.DOTALL)


def test_the_code_of_the_page_runs(server, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "invoice.pdf").write_bytes(b"%PDF-1.7")
    subprocess.run(["openssl", "genrsa", "-out", "dkim.pem", "2048"], check=True, capture_output=True)
    names = {}
    for code, printed in BLOCKS:
        exec(code.replace("smtp://user:secret@smtp.example.com:587", server.url), names)
        out = capsys.readouterr().out
        if printed:
            assert out == printed + "\n"
    assert [index for index, _ in names["missed"]] == [2]
    assert all(r.all_accepted for r in names["receipts"])
    assert len(BLOCKS) == PAGE.count("```python")
