"""What the wheel and the sdist must hold, and what they must not.

python .ci/contents.py dist/
"""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
IN_SDIST = ("CHANGELOG.md", "LICENSE", "PKG-INFO", "README.rst", "pyproject.toml")
NOT_IN_SDIST = (".ci", ".git", ".github", "dist", "shared")


def _files(*directories: str) -> set[str]:
    """The files below these directories of the project, as they should be packed."""
    return {
        path.relative_to(ROOT).as_posix()
        for directory in directories
        for path in (ROOT / directory).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }


def check_wheel(path: Path) -> list[str]:
    """What is wrong with the wheel."""
    problems = []
    with zipfile.ZipFile(path) as wheel:
        names = set(wheel.namelist())
        info = next(name for name in names if name.endswith(".dist-info/METADATA"))[
            : -len("METADATA")
        ]
        entries = wheel.read(info + "entry_points.txt").decode()
        metadata = wheel.read(info + "METADATA").decode()
    modules = {name.removeprefix("src/") for name in _files("src")}
    packed = {name for name in names if not name.startswith(info)}
    problems += [f"the wheel lacks {name}" for name in sorted(modules - packed)]
    problems += [f"the wheel holds {name}" for name in sorted(packed - modules)]
    if "pytest_tcpclient/py.typed" not in names:
        problems.append("the wheel lacks py.typed")
    if "[pytest11]\ntcpclient = pytest_tcpclient.plugin" not in entries:
        problems.append("the wheel does not register the plugin")
    if info + "licenses/LICENSE" not in names:
        problems.append("the wheel lacks the licence")
    problems += [
        f"the metadata has no {field}"
        for field in ("License-Expression: MIT", "Requires-Python: >=", "Description-Content-Type:")
        if field not in metadata
    ]
    return problems


def check_sdist(path: Path) -> list[str]:
    """What is wrong with the sdist."""
    with tarfile.open(path) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    wanted = _files("src", "tests", "examples") | set(IN_SDIST)
    problems = [f"the sdist lacks {name}" for name in sorted(wanted - names)]
    problems += [
        f"the sdist holds {name}"
        for name in sorted(names)
        if name.split("/")[0] in NOT_IN_SDIST or "__pycache__" in name
    ]
    return problems


def main(directory: Path) -> int:
    """Check the one wheel and the one sdist of a directory."""
    [wheel] = directory.glob("*.whl")
    [sdist] = directory.glob("*.tar.gz")
    problems = check_wheel(wheel) + check_sdist(sdist)
    print(*(problems or [f"{wheel.name} and {sdist.name} hold what they should"]), sep="\n")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
