"""Rows of a merge: from files, cursors, and whatever else gives mappings."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import sys
from pathlib import Path
from typing import IO, Any, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple, Union

from ._errors import InvalidInput
from ._messages import holds_surrogate

# lines of a header at most: behind a quote that is not closed there may be a whole file
_WRAPPED = 50
KINDS = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}

Row = Union[Mapping[str, Any], "BadRow"]


class BadRow(Exception):
    """Stands in place of a row that cannot be read; the text says why."""


def _delimiter(header: str) -> str:
    return max(",;\t|", key=header.count)


def _whole(header: str, lines: IO[str]) -> Tuple[str, int]:
    """With the lines that a name in quotes goes on in, and how many these are."""
    wrapped = 0
    while header.count('"') % 2 and wrapped < _WRAPPED and (more := lines.readline()):
        header += more
        wrapped += 1
    return header, wrapped


def bad_text(values: Iterable[Any]) -> bool:
    """What was no UTF-8 was read as lone surrogates."""
    return any(isinstance(v, str) and holds_surrogate(v) for v in values)


def read_csv(lines: IO[str]) -> Iterator[Row]:
    """Rows by the names in the first line; delimited by comma, semicolon, tab or bar, whichever is most there."""
    header = lines.readline()
    # Excel names the delimiter so
    named = re.fullmatch(r"sep=(.)\s*", header)
    if named:
        header = lines.readline()
    header, wrapped = _whole(header, lines)
    if not header.strip():
        raise InvalidInput("the first line must name the columns, and is empty", code="invalid_rows")
    delimiter = named[1] if named else _delimiter(header)
    try:
        found = next(csv.reader(io.StringIO(header, newline=""), delimiter=delimiter, strict=True))
        names = [re.sub(r"\s*[\r\n]\s*", " ", n.strip()) for n in found]
    except csv.Error as e:
        raise InvalidInput(f"the first line must name the columns: {e}", code="invalid_rows") from None
    if len(set(names)) < len(names) or "" in names:
        raise InvalidInput("each column needs a name of its own in the first line", code="invalid_rows")
    if bad_text(names):
        raise InvalidInput("the first line is not UTF-8: convert the file", code="invalid_rows")
    # strict, lest a quote that is not closed swallows other rows unseen; what stands behind it may be text of that row,
    # and is no row of its own
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    first = (3 if named else 2) + wrapped  # line of the file
    while True:
        line = reader.line_num + first
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as e:
            yield BadRow(f"line {line}: {e}")
            for n in range(line + 1, reader.line_num + first):
                yield BadRow(f"line {n}: it stands behind a quote of line {line} that is not closed")
            continue
        if values:
            yield _by_name(names, values, line)


def _by_name(names: List[str], values: List[str], line: int) -> Row:
    if len(values) != len(names):
        return BadRow(f"line {line}: {len(values)} fields where the first line names {len(names)}")
    if bad_text(values):
        return BadRow(f"line {line}: it is not UTF-8")
    return dict(zip(names, values))


def _no_number(name: str) -> None:
    raise BadRow(f"it is no JSON: {name} is no number of JSON")


def _each_once(members: List[Tuple[str, Any]]) -> Dict[str, Any]:
    """Of a name that stands twice nobody can say which value is meant."""
    found = dict(members)
    if len(found) < len(members):
        names = [name for name, _ in members]
        raise BadRow(f"{next(name for name in names if names.count(name) > 1)!r} stands there twice")
    return found


def read_jsonl(lines: Iterable[str]) -> Iterator[Row]:
    """An object of JSON on each line; empty lines are left out."""
    for n, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line, parse_constant=_no_number, object_pairs_hook=_each_once)
        except BadRow as e:
            yield BadRow(f"line {n}: {e}")
            continue
        except (ValueError, RecursionError) as e:
            yield BadRow(f"line {n}: it is no JSON: {getattr(e, 'msg', e)}")
            continue
        if not isinstance(found, dict):
            yield BadRow(f"line {n}: it is no object of JSON")
        elif bad_text(found.values()):
            yield BadRow(f"line {n}: it is not UTF-8")
        else:
            yield found


def read_file(file: str, kind: Optional[str] = None) -> Iterator[Row]:
    """kind: "csv" or "jsonl"; None: by the name. "-" is standard input, CSV unless `kind` says otherwise."""
    found = kind or ("csv" if file == "-" else KINDS.get(Path(file).suffix.lower()))
    if found is None:
        raise InvalidInput(f"{file}: say by --format whether it is csv or jsonl", code="invalid_option")
    with contextlib.ExitStack() as stack:
        octets = sys.stdin.buffer if file == "-" else stack.enter_context(Path(file).open("rb"))
        lines = io.TextIOWrapper(octets, "utf-8-sig", "surrogateescape", newline="")
        yield from read_csv(lines) if found == "csv" else read_jsonl(lines)


def mappings(rows: Any) -> Iterator[Union[Row, object]]:
    """The rows of a cursor by the names of its columns; all else as it is."""
    described = getattr(rows, "description", None)
    if described is None:
        yield from rows
        return
    names = [column[0] for column in described]
    for row in rows:
        # some cursors give mappings themselves, as by psycopg's dict_row
        yield row if isinstance(row, Mapping) else dict(zip(names, row))


def as_row(given: object) -> Dict[str, Any]:
    """Raises BadRow for what is none."""
    if isinstance(given, BadRow):
        raise given
    try:
        return dict(given)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError):
        raise BadRow(f"it is no mapping of names to values, but {type(given).__name__}") from None
    except Exception as e:  # of a row that looks its values up: it stops no other
        raise BadRow(f"{type(e).__name__}: {e}") from e
