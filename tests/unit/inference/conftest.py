from __future__ import annotations

import pytest

from bright import bright_model
from flareseg.learning.trained import Trained


@pytest.fixture
def bright() -> Trained:
    return bright_model()
