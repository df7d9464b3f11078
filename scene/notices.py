"""Notices: what is assumed where a file leaves something open, said as a warning."""


class Notice(UserWarning):
    """One sentence about a folder, without the names of files, so that it is shown once."""
