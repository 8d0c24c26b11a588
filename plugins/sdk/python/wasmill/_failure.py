"""How a plugin says that something is wrong: with a row, with this call, or with itself.

Any other exception fails the call; its traceback is logged, and the host finds the rows that cause it.
"""


class Reject(Exception):
    """Refuses the row at hand, or in `finish` the accumulator: it leaves the pipeline with this reason."""


class Retry(Exception):
    """The call may succeed if it is made again."""


class Fatal(Exception):
    """The plugin cannot work, whatever the rows: the job stops."""
