"""Checks an archive against the manifest in it, with nothing but Python's standard library."""

import csv
import hashlib
import io
import json
import sys
import zipfile
import zlib

csv.field_size_limit(sys.maxsize)
with zipfile.ZipFile(sys.argv[1]) as archive:
    manifest = json.loads(archive.read("manifest.json"))
    assert {file["name"] for file in manifest["files"]} == set(archive.namelist()) - {"manifest.json"}, "other files"
    for file in manifest["files"]:
        tree, crc, end = hashlib.sha256(), 0, 0
        with archive.open(file["name"]) as data:
            for part in file["parts"]:
                plain = data.read(part["length"])
                digest = hashlib.sha256(plain)
                assert part["offset"] == end and digest.hexdigest() == part["sha256"], f"{file['name']} at {end}"
                tree.update(digest.digest())
                crc, end = zlib.crc32(plain, crc), end + len(plain)
            assert not data.read(1) and end == file["bytes"] and crc == file["crc32"], f"{file['name']}: bytes"
            assert tree.hexdigest() == file["sha256Tree"], f"{file['name']}: SHA-256"
        with archive.open(file["name"]) as data:
            rows = csv.reader(io.TextIOWrapper(data, "utf-8", newline=""), strict=True)
            assert next(rows) == [column["name"] for column in file["columns"]], f"{file['name']}: columns"
            assert sum(1 for _ in rows) == file["rows"], f"{file['name']}: rows"
        print(f"{file['name']}: {file['rows']} rows, {file['verdict']} (CRM: {file['crmTotal']})")
