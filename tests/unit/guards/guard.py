# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
"""What the guards share: TAP output, and reading C headers as text."""

import re
import sys


class Tap:
    """One line a point; the words of a failure follow it as comments."""

    def __init__(self):
        self.points = 0
        self.failed = 0

    def point(self, good, sentence, words=""):
        self.points += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.points} - {sentence}")
        if not good:
            for line in str(words).splitlines():
                print(f"# {line}")
        sys.stdout.flush()

    def nothing(self, unwelcome, sentence):
        """A point that is good when the collection is empty; otherwise it is shown."""
        self.point(not unwelcome, sentence, "\n".join(sorted(unwelcome)))

    def end(self):
        print(f"1..{self.points}")
        sys.exit(1 if self.failed or not self.points else 0)


def plain(text):
    """C without comments and preprocessor lines."""
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    return re.sub(r"^[ \t]*#(?:.*\\\n)*.*$", "", text, flags=re.M)


def headers(include):
    """The public headers, the umbrella first."""
    return [include / "libiommufd.h", *sorted((include / "libiommufd").glob("*.h"))]


def functions(include):
    """Name to 'is it inline?' of each function in the public headers."""
    found = {}
    for header in headers(include):
        text = re.sub(r"\bIOMMUFD_(BEGIN|END)_DECLS\b", "", plain(header.read_text()))
        text = re.sub(r"__attribute__\s*\(\(.*?\)\)", "", text)
        while "{" in text:
            text, count = re.subn(r"\{[^{}]*\}", "@", text)
            if not count:
                raise SystemExit(f"{header}: a brace is left open")
        text = re.sub(r"\)\s*@", ");", text)  # the body of an inline function ends its declaration
        for statement in text.split(";"):
            name = re.search(r"(\w+)\s*\(", statement)
            if name and not re.search(r"\btypedef\b", statement):
                found[name[1]] = bool(re.search(r"\bstatic\b", statement))
    return found
