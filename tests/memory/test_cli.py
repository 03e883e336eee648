"""`cnndsl inspect --memory` and what belongs to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cnndsl.cli.main import main
