"""Prints what Python's zipfile and csv see in an archive, as JSON: file name -> rows, header row included."""

import csv
import io
import json
import sys
import zipfile

csv.field_size_limit(sys.maxsize)
with zipfile.ZipFile(sys.argv[1]) as archive:
    damaged = archive.testzip()
    assert damaged is None, f"{damaged} is damaged"
    tables = {}
    for name in archive.namelist():
        if name.endswith(".csv"):
            text = io.TextIOWrapper(archive.open(name), encoding="utf-8", newline="")
            tables[name] = list(csv.reader(text, strict=True))
json.dump(tables, sys.stdout)
