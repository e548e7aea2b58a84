"""Is this Python a quick one? The standard library alone: scripts/python.sh runs this file with every Python it finds (docs/decisions/0102)."""

import sys
import sysconfig


def is_optimised() -> bool:
    """Was it compiled with the profile of a running Python (PGO)? Debian's and Ubuntu's own are, whose build does not tell so."""
    built_with = sysconfig.get_config_var("CONFIG_ARGS")
    return built_with is None or "--enable-optimizations" in built_with or sys.base_prefix == "/usr"


if __name__ == "__main__":
    sys.exit(not is_optimised())
