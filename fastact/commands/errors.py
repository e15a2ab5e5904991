"""What commands raise over what they were given."""

__all__ = ["UsageError"]


class UsageError(Exception):
    """Something the user gave cannot be used; the message says what, in one line."""
