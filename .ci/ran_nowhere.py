"""Which tests were skipped in every one of some runs of the suite, by the JUnit XML that each has written.

``--ids`` prints those that another run may still catch up on, for pytest to read. Without it, all are listed with the
reasons, and the exit code is 1 if there is one that does not begin with "this machine".
"""

from __future__ import annotations

import sys
from collections import defaultdict
from xml.etree import ElementTree


def skipped_everywhere(paths: list[str]) -> tuple[int, dict[str, list[str]]]:
    """How many tests there are, and the reasons for skipping those that did not run."""
    ran, reasons = set(), defaultdict(list)
    for path in paths:
        for case in ElementTree.parse(path).iter("testcase"):
            test, skipped = f"{case.get('file')}::{case.get('name')}", case.find("skipped")
            if skipped is None:
                ran.add(test)
            else:
                reasons[test].append(str(skipped.get("message")))
    nowhere = {test: given for test, given in reasons.items() if test not in ran}
    return len(ran | set(reasons)), nowhere


def of_the_machine(reasons: list[str]) -> list[str]:
    return [reason for reason in reasons if reason.startswith("this machine")]


def of_the_other_run(reasons: list[str]) -> bool:
    """Left by the suite with Numba to the one without, which is still to come (tests/conftest.py)."""
    return all(reason.startswith("the other run") for reason in reasons)


def main(options: list[str], paths: list[str]) -> int:
    count, nowhere = skipped_everywhere(paths)
    missing = {test: reasons for test, reasons in nowhere.items() if not of_the_machine(reasons)}
    if options:
        print(*(test for test, reasons in missing.items() if not of_the_other_run(reasons)), sep="\n")
        return 0
    for test, reasons in nowhere.items():
        print(f"{test}: {'; '.join(of_the_machine(reasons) or reasons)}")
    print(f"{count} tests: {len(nowhere) - len(missing)} that this machine cannot run, {len(missing)} that ran nowhere")
    return 1 if missing else 0


if __name__ == "__main__":
    arguments = sys.argv[1:]
    sys.exit(main([a for a in arguments if a == "--ids"], [a for a in arguments if a != "--ids"]))
