# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
"""The picture of cost against the number of mappings, by gnuplot. A part of tests/bench/report."""
import subprocess

COUNTS = {"1": 1, "10": 10, "100": 100, "1k": 1000, "10k": 10000, "100k": 100000, "1M": 1000000}
COLOURS = {"map": "#1b6ca8", "unmap": "#c0392b", "map+unmap": "#2e8b57"}
LOOKUPS = [("random/chained", "#c0392b"), ("random/overlapped", "#1b6ca8"), ("sequential/chained", "#b7791f"),
           ("sequential/overlapped", "#2e8b57")]
# With room for the key above the curves.
FROM_ZERO = "set xrange [0.8:130000]\nset yrange [0:*]\nset offsets 0, 0, graph 0.35, 0\nunset logscale y"
HEAD = """set terminal svg size 1200,900 dynamic font 'Helvetica,14' background '#ffffff'
set output '{}'
set multiplot layout 2,2 margins 0.09,0.98,0.08,0.93 spacing 0.11,0.13
set logscale x
set format x '%.0s%c'
set grid lc rgb '#dddddd'
set key top left Left reverse maxrows 4 samplen 2 font ',11'
set xlabel 'mappings present'
"""


class Panel:
    """One diagram. Its curves are gathered, and drawn when there is one."""

    def __init__(self, title, ylabel, extra):
        self.curves, self.blocks = [], []
        self.head = f"set title '{title}'\nset ylabel '{ylabel}'\n{extra}\n"

    def add(self, rows, pattern, key, title, style):
        points = [(count, rows[pattern.format(name)].get(key)) for name, count in COUNTS.items()
                  if pattern.format(name) in rows]
        points = [f"{count} {value}" for count, value in points if value is not None]
        if points:
            self.blocks.append("\n".join(points) + "\ne\n")
            self.curves.append(f"'-' with linespoints title '{title}' {style}")

    def text(self):
        if not self.curves:
            return "set multiplot next\n"
        return self.head + "plot " + ", ".join(self.curves) + "\n" + "".join(self.blocks)


def by_ioctl(rows, prefix, title, unit):
    panel = Panel(title, unit, FROM_ZERO)
    for step, colour in COLOURS.items():
        for key, name, dash in (("library", "library", 1), ("baseline", "bare ioctl", 2)):
            panel.add(rows, f"{prefix}{step}/4K/{{}}", key, f"{step}, {name}",
                      f"lc rgb '{colour}' dt {dash} pt {5 + 2 * dash} lw 2 ps 0.7")
    return panel.text()


def counted(rows):
    panel = Panel("Beside the kernel: instructions of the library alone", "instructions a call",
                  FROM_ZERO)
    for step, colour in (("map", "#1b6ca8"), ("unmap", "#c0392b"), ("map picked", "#6b4fa0"), ("look up", "#2e8b57")):
        panel.add(rows, f"count/{step}/{{}}", "library", step, f"lc rgb '{colour}' dt 1 pt 7 lw 2 ps 0.7")
    return panel.text()


def lookups(rows):
    panel = Panel("VA to IOVA; dashed: in a sorted array", "nanoseconds a lookup, without the loop",
                  "set xrange [800:1300000]\nunset offsets\nset yrange [0.5:50000]\nset logscale y")
    for kind, colour in LOOKUPS:
        for key, name, dash in (("library", "", 1), ("baseline", ", array", 2)):
            if key == "baseline" and not kind.startswith("random"):
                continue  # it would hide the others
            panel.add(rows, f"translate/{{}}/{kind}", key, f"{kind.replace('/', ', ')}{name}",
                      f"lc rgb '{colour}' dt {dash} pt {5 + 2 * dash} lw 2 ps 0.7")
    return panel.text()


def draw(rows, path):
    script = HEAD.format(path)
    script += by_ioctl(rows, "", "4 KiB in the machine, iommufd: time", "microseconds a call")
    script += by_ioctl(rows, "icount/", "4 KiB in the machine, iommufd: instructions", "instructions a call")
    script += lookups(rows) + counted(rows) + "unset multiplot\n"
    # It says a lot about axes that are as they should be.
    result = subprocess.run(["gnuplot"], input=script, text=True, capture_output=True)
    if result.returncode:
        raise SystemExit(result.stderr)
