"""Package discovery: folders that stand beside `cnndsl/` install inside it.

Everything else is in pyproject.toml. setuptools' declarative discovery knows no prefix, and a
written list would go stale, so the prefix is put in front here.

An editable install is the path of this folder: `cnndsl/__init__.py` finds the folders beside it.
setuptools' import hook for other layouts comes after the path, where a folder called like the
package, such as a clone beside a script, would hide it.
"""

import sys

from setuptools import find_packages, setup

BESIDE = ["backends", "grammars", "networks"]

if "editable_wheel" in sys.argv:
    setup(packages=find_packages(include=["cnndsl", "cnndsl.*"]), package_dir={"": "."})
else:
    setup(
        packages=find_packages(include=["cnndsl", "cnndsl.*"])
        + [
            f"cnndsl.{name}"
            for name in find_packages(include=[*BESIDE, *(f"{b}.*" for b in BESIDE)])
        ],
        package_dir={f"cnndsl.{name}": name for name in BESIDE},
    )
