"""An AWS CLI that answers from a file and notes what it was asked."""

import json
import sys

# Answers by the first two arguments. Files that it is given are gone afterwards, so it notes their content.
PROGRAM = """#!{python}
import json, sys
from pathlib import Path
folder = Path({folder!r})
asked = [Path(one[7:]).read_text() if one.startswith("file://") else one for one in sys.argv[1:]]
with open(folder / "asked.jsonl", "a") as log:
    log.write(json.dumps(asked) + "\\n")
answers = json.loads((folder / "answers.json").read_text())
answer = answers.get(" ".join(sys.argv[1:3]), {{}})
if isinstance(answer, str):
    sys.exit(answer)
print(json.dumps(answer))
"""


class AwsStub:
    """Puts a program named `aws` into a folder. Answers are documents by service and operation; a text is an error."""

    def __init__(self, folder, answers):
        self.folder, self.answers = folder, answers
        program = folder / "aws"
        program.write_text(PROGRAM.format(python=sys.executable, folder=str(folder)))
        program.chmod(0o755)

    def save(self):
        (self.folder / "answers.json").write_text(json.dumps(self.answers))

    def asked(self):
        log = self.folder / "asked.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
