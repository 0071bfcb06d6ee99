"""Every error that a user may see, as one tree.

Each error is one line naming the thing, plus a cure. Nothing here ever carries a secret. The exit
codes are the command line's contract: 1 a job failed, 2 bad usage or input, 3 not signed in or not
configured, 130 interrupted.
"""

from __future__ import annotations

from collections.abc import Callable

filters: list[Callable[[str], str]] = []
"""What every message passes through; `engine.secrets` hides the process's secrets by it."""


def _filtered(text: str) -> str:
    for each in filters:
        text = each(text)
    return text


class DogclsError(Exception):
    """Base of all errors that are shown to people.

    Args:
        message: one line that names the thing that is wrong (file, line, job, deployment …).
        cure: one line that says what to do about it; may be empty where there is nothing to do.

    """

    exit_code = 1

    def __init__(self, message: str, cure: str = "") -> None:
        message = _filtered(message)
        super().__init__(message)
        self.message = message
        self.cure = _filtered(cure)

    def __str__(self) -> str:
        return f"{self.message} {self.cure}".strip()


class InputError(DogclsError):
    """Bad usage or bad input: a path, an image, an option, an experiment file."""

    exit_code = 2


class NotFoundError(InputError):
    """A dataset, experiment or job that the store does not know."""


class PriceError(InputError):
    """The price was not accepted, or is over the user's limit."""


class ReadOnlyError(InputError):
    """A change was requested of an engine that only reads.

    Args:
        what: cannot be done, in words.
        unwritable: why the home cannot be written, in words; "" where `--readonly` was given.

    """

    def __init__(self, what: str = "Nothing can be changed", unwritable: str = "") -> None:
        if unwritable:
            super().__init__(f"{what}: {unwritable}.", "Make it writable, or choose another --home.")
        else:
            super().__init__(f"{what}: --readonly.", "Leave --readonly out.")


class ConfigurationError(DogclsError):
    """Something must be set up first: a profile, an endpoint, a deployment."""

    exit_code = 3


class ForeignResource(ConfigurationError):
    """A job belongs to a resource that the settings of this process do not mean."""


class SignInError(ConfigurationError):
    """The service did not accept the key or the Entra ID sign-in.

    Args:
        status: 401 or 403, or None when no token could be had.

    """

    def __init__(self, message: str, cure: str = "", *, status: int | None = None) -> None:
        super().__init__(message, cure)
        self.status = status


class ServiceError(DogclsError):
    """The service refused or failed a request for good; trying again will not help by itself.

    Args:
        status: HTTP status code, or None when no answer came.
        code: the service's own error code, as it spells it.

    """

    def __init__(self, message: str, cure: str = "", *, status: int | None = None, code: str = "") -> None:
        super().__init__(message, cure)
        self.status = status
        self.code = code


class ServiceUnavailable(ServiceError):
    """The service could not be reached, or is failing for now; trying again may help."""


class StoreError(DogclsError):
    """The store's file could not be opened, read or written."""


class StoreBusy(StoreError):
    """Another process holds the store; the same may work later."""


class StoreDamaged(StoreError, InputError):
    """The store's file is damaged, was emptied, or is not a store."""


class DiskError(DogclsError):
    """A file or folder could not be read or written: a full or read-only disk, missing rights, a moved home."""


class UnexpectedError(DogclsError):
    """A fault of our own: an exception that nothing in the program expects."""


class JobError(DogclsError):
    """A job ended without what it was started for."""


class WeightsError(DogclsError):
    """Pretrained weights that a recipe needs cannot be had, or are not what they should be."""

    exit_code = 2


class LostClaim(BaseException):
    """This worker no longer owns its job: its attempt, its process or its store was replaced.

    A BaseException, as `Stopped` is, so that no handler of errors takes it for a failure and tries again.
    """
