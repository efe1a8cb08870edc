"""The error that a user can mend: shown as one message, without a traceback."""


class UserError(ValueError):
    """Something in the command, the data or a file is wrong; the message says what and how."""
