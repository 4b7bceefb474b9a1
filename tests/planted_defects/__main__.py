"""Plant one of the defects: `python -m tests.planted_defects NAME`; without a name, list them."""

from __future__ import annotations

import subprocess
import sys

from tests.planted_defects.defects import DEFECTS, ROOT


def main(arguments: list[str]) -> int:
    known = {defect.name: defect for defect in DEFECTS}
    if not arguments:
        print("\n".join(f"{name:30}{defect.kind}" for name, defect in known.items()))
        return 0
    if len(arguments) > 1 or arguments[0] not in known:
        print("Name one of the defects; without a name they are listed.", file=sys.stderr)
        return 2
    defect = known[arguments[0]]
    changed = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", defect.file], cwd=ROOT, check=False)
    if changed.returncode:
        print(f"{defect.file} has changes that are not committed. Commit them first.", file=sys.stderr)
        return 1
    defect.plant()
    print(f"Planted in {defect.file}. Run the tests, then: git checkout {defect.file}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
