from __future__ import annotations

from collections import Counter
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings

from cnndsl.diagnostics import CnnError, Source
from cnndsl.language import formatter
from cnndsl.language import syntax as ast
from cnndsl.language.formatter import format_source
from cnndsl.language.parser import parse_file
from tests.language.strategies import texts
