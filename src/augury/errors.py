"""What a user may do wrong.

    UserError            got / expected / what to do, on one line; the command line exits with status 2
    └── Refused          the request is invalid science (a patient in two splits, a test set that chooses a checkpoint)

Anything else that escapes is our mistake and ends in a traceback and status 1.
`nets` and `metrics` know nothing of ours: they raise ValueError.
"""


class UserError(Exception):
    """A mistake of the user's: one line that says what was got, what was expected and what to do."""


class Refused(UserError):
    """A request that would yield an invalid claim."""
