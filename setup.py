"""Package discovery: folders that stand beside `cnndsl/` install inside it.

Everything else is in pyproject.toml. setuptools' declarative discovery knows no prefix, and a
written list would go stale, so the prefix is put in front here.
"""

from setuptools import find_packages, setup

BESIDE = ["backends", "grammars", "networks"]

setup(
    packages=find_packages(include=["cnndsl", "cnndsl.*"])
    + [f"cnndsl.{name}" for name in find_packages(include=[*BESIDE, *(f"{b}.*" for b in BESIDE)])],
    package_dir={f"cnndsl.{name}": name for name in BESIDE},
)
