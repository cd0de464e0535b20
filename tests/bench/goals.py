# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
"""What the library must cost, held against the rows. A part of tests/bench/report."""
import math
import statistics

# What the nearest peer's example did, in a machine as ours on another computer: reads of 512 bytes a second.
PEER_IOPS = {1: 23000, 8: 79000}


def ratio(what):
    return lambda rows: rows[what]["ratio"]


def library(what):
    return lambda rows: rows[what]["library"]


def times(what):
    """How many times as fast as the baseline."""
    return lambda rows: rows[what]["baseline"] / rows[what]["library"]


def over(what, other):
    """One row of the library over another."""
    return lambda rows: rows[what]["library"] / rows[other]["library"]


def own(what, other):
    """The same of what the library does beside the ioctl."""
    return lambda rows: ((rows[what]["library"] - rows[what]["baseline"])
                         / (rows[other]["library"] - rows[other]["baseline"]))


LOG = math.log(100000) / math.log(1000)
GOALS = [
    ("map 4 KiB, over the ioctl: instructions of the machine", ratio("icount/map/4K/1"), "<=", 1.02),
    ("unmap 4 KiB, over the ioctl: instructions of the machine", ratio("icount/unmap/4K/1"), "<=", 1.02),
    ("map and unmap 4 KiB, over the ioctl: instructions of the machine", ratio("icount/map+unmap/4K/1"), "<=", 1.02),
    ("map and unmap 4 KiB, over the ioctl: time", ratio("map+unmap/4K/1"), "<=", 1.02),
    ("map and unmap: 100 k present over 1, instructions of the machine",
     over("icount/map+unmap/4K/100k", "icount/map+unmap/4K/1"), "<=", 1.1),
    ("map beside the ioctl: 100 k over 1 k, a logarithm has", own("count/map/100k", "count/map/1k"), "<=", LOG),
    ("unmap beside the ioctl: 100 k over 1 k, a logarithm has", own("count/unmap/100k", "count/unmap/1k"), "<=", LOG),
    ("VA to IOVA, 1 k, ns: overlapped", library("translate/1k/random/overlapped"), "<", 5),
    ("VA to IOVA, 1 k, ns: chained", library("translate/1k/random/chained"), "<", 5),
    ("VA to IOVA, 1 M at random, ns: overlapped", library("translate/1M/random/overlapped"), "<", 25),
    ("VA to IOVA, 1 M at random, ns: chained", library("translate/1M/random/chained"), "<", 25),
    ("VA to IOVA: two threads over one, flat", over("translate/threads/2", "translate/threads/1"), "<=", 1.25),
    ("guest RAM, cold, 4 KiB: times as fast as one raw map", times("ram/cold/4K"), ">=", 1.7),
    ("guest RAM, cold, 4 KiB, in 8 parts: times as fast as one raw map", times("ram/parts/4K"), ">=", 1.7),
    ("guest RAM, cold, THP: times as fast as one raw map", times("ram/cold/THP"), ">=", 1.7),
    ("guest RAM, cold, hugetlb: times as fast as one raw map", times("ram/cold/hugetlb"), ">=", 1.7),
    ("NVMe, IOPS at depth 8 (the peer's)", library("nvme/iommufd/depth 8"), ">=", PEER_IOPS[8]),
    ("NVMe, IOPS at depth 1 (the peer's)", library("nvme/iommufd/depth 1"), ">=", PEER_IOPS[1]),
    ("NVMe, over the kernel's driver, depth 8", ratio("nvme/iommufd/kernel depth 8"), ">=", 1),
    ("NVMe, over the kernel's driver, depth 1", ratio("nvme/iommufd/kernel depth 1"), ">=", 1),
    ("the stripped library, bytes", library("library/size"), "<", 128 * 1024),
    ("dependencies but libc and libudev", library("library/foreign dependencies"), "<=", 0),
]
SIGNS = {"<=": lambda a, b: a <= b, "<": lambda a, b: a < b, ">=": lambda a, b: a >= b}


def measured_in(measure, rows):
    """None when what it takes was not measured."""
    try:
        return measure(rows)
    except (KeyError, ZeroDivisionError):
        return None


def verdicts(runs):
    """What was measured in each run by itself, and the median of that."""
    result = []
    for goal, measure, sign, bound in GOALS:
        values = [value for value in (measured_in(measure, rows) for rows in runs) if value is not None]
        measured = statistics.median(values) if values else None
        verdict = "not measured" if measured is None else "met" if SIGNS[sign](measured, bound) else "missed"
        result.append({"goal": goal, "sign": sign, "bound": bound, "measured": measured, "verdict": verdict})
        if len(values) > 1:
            result[-1]["range"] = [min(values), max(values)]
    return result
