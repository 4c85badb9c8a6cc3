"""Reads a CSV file with Python's csv, pandas and DuckDB, the way the README says, and digests its cells.

Takes a JSON object with `file` as its argument. Prints the digest by reader, and the readers' versions, as JSON. Each
cell is hashed with its length, row by row, the header first; null is empty.
"""

import csv
import hashlib
import json
import sys

import duckdb
import pandas


def digest(rows):
    tree = hashlib.sha256()
    for row in rows:
        for cell in row:
            data = ("" if cell is None else cell).encode()
            tree.update(len(data).to_bytes(8, "little"))
            tree.update(data)
    return tree.hexdigest()


def by_csv(file):
    with open(file, encoding="utf-8", newline="") as stream:
        return digest(csv.reader(stream))


def by_pandas(file):
    frame = pandas.read_csv(file, dtype=str, keep_default_na=False)
    return digest([list(frame.columns), *frame.itertuples(index=False)])


def by_duckdb(file):
    rows = duckdb.sql(f"select * from read_csv('{file}', all_varchar=true)")
    return digest([rows.columns, *rows.fetchall()])


def main():
    csv.field_size_limit(2**31 - 1)
    file = json.loads(sys.argv[1])["file"]
    json.dump({"csv": by_csv(file), "pandas": by_pandas(file), "duckdb": by_duckdb(file)}, sys.stdout)


if __name__ == "__main__":
    main()
