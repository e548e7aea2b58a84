"""What `dagster` and `dg` load: the definitions for the settings of this process."""

from khung.settings import settings
from orchestration.build import build_defs

defs = build_defs(settings())
