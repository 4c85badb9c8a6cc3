"""Reads one line of a report from standard input, takes the apostrophes off again as docs/admin.md says, and prints
the cells as JSON. Takes the path of that document as its argument."""

import csv
import io
import json
import pathlib
import re
import sys

document = pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")
(block,) = [block for block in re.findall(r"^```python\n(.*?)^```$", document, re.DOTALL | re.MULTILINE) if "def value(" in block]
names = {}
exec(block, names)
csv.field_size_limit(2**31 - 1)
(cells,) = csv.reader(io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8", newline=""))
json.dump([names["value"](cell) for cell in cells], sys.stdout)
