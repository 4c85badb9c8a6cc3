"""Checks a downloaded archive against the manifest in it, with nothing but the standard library.

Reads a JSON request from standard input: `archive`, the path of the zip. Prints a JSON list of the files with name,
objectType, label, rows, columns, bytes and verdict. The first difference from the manifest is
printed as one sentence on standard error, with exit code 1.
"""

import csv
import hashlib
import io
import json
import sys
import zipfile
import zlib


def expect(condition, sentence):
    if not condition:
        raise SystemExit(sentence)


def check(archive, file):
    name = file["name"]
    tree, crc, end = hashlib.sha256(), 0, 0
    with archive.open(name) as stream:
        for part in file["parts"]:
            data = stream.read(part["length"])
            expect(part["offset"] == end, f"{name}: the parts are not one behind the other")
            digest = hashlib.sha256(data)
            expect(digest.hexdigest() == part["sha256"], f"{name}: the digest of the part at {end} is wrong")
            expect(zlib.crc32(data) == part["crc32"], f"{name}: the CRC of the part at {end} is wrong")
            tree.update(digest.digest())
            crc, end = zlib.crc32(data, crc), end + len(data)
        expect(not stream.read(1), f"{name} goes on after its last part")
    expect(end == file["bytes"], f"{name} has {end} bytes instead of {file['bytes']}")
    expect(crc == file["crc32"], f"{name}: the CRC is wrong")
    expect(tree.hexdigest() == file["sha256Tree"], f"{name}: the tree digest is wrong")
    with archive.open(name) as stream:
        rows = csv.reader(io.TextIOWrapper(stream, encoding="utf-8", newline=""))
        header = [column["name"] for column in file["columns"]]
        expect(next(rows) == header, f"{name}: the columns are not those of the manifest")
        ids = []
        for row in rows:
            expect(len(row) == len(header), f"{name}: record {row[0]} has {len(row)} values for {len(header)} columns")
            ids.append(row[0])
    expect(len(ids) == file["rows"], f"{name} has {len(ids)} records instead of {file['rows']}")
    expect(len(set(ids)) == len(ids), f"{name} has a record twice")


def main():
    csv.field_size_limit(2**31 - 1)
    path = json.load(sys.stdin)["archive"]
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        manifest = json.loads(archive.read("manifest.json"))
        files = manifest["files"]
        expect(names == [file["name"] for file in files] + ["manifest.json"], "the zip holds other files than listed")
        for file in files:
            check(archive, file)
    shown = ("name", "objectType", "label", "rows", "bytes", "verdict")
    json.dump([{key: file[key] for key in shown} | {"columns": len(file["columns"])} for file in files], sys.stdout)


if __name__ == "__main__":
    try:
        main()
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, csv.Error) as error:
        raise SystemExit(f"the archive cannot be read: {error}") from error
