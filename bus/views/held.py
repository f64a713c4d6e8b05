"""
Who tells which views hold a key.

The module is compiled where there is a C compiler: `held.pxd` has the types.
"""


class Held:
    """Asked for each record, and so a class that compiled code can ask without a detour."""

    def get(self, key: bytes) -> int:
        """Return the bits of the views that hold `key`."""
        raise NotImplementedError

    def expect(self, key: bytes) -> None:
        """Know that `key` will be asked for soon; whoever can do nothing about it need not."""
