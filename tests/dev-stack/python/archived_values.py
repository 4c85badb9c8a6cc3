"""Reads values out of a downloaded archive, with nothing but the standard library.

Reads a JSON request from standard input: `archive`, the path of the zip; `file`, the name of a CSV file in it;
`properties`, the columns to read. Prints JSON: the values that are not empty, by property, of each record by its id.
"""

import csv
import io
import json
import sys
import zipfile


def main():
    request = json.load(sys.stdin)
    with zipfile.ZipFile(request["archive"]) as archive, archive.open(request["file"]) as stream:
        rows = csv.DictReader(io.TextIOWrapper(stream, encoding="utf-8", newline=""))
        absent = set(request["properties"]) - set(rows.fieldnames)
        if absent:
            raise SystemExit(f"{request['file']} has no column {sorted(absent)[0]}")
        values = {
            row["hs_object_id"]: {name: row[name] for name in request["properties"] if row[name]} for row in rows
        }
    json.dump(values, sys.stdout)


if __name__ == "__main__":
    main()
