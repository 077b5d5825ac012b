"""The exceptions of PenPress, one small tree. What each means over HTTP is decided in `app/webservice/failures.py`.

PenPressError
├── InputError              what a caller sent cannot be used
│   ├── UnreadableImageError
│   ├── ImageTooLargeError
│   │   └── TooManyPagesError
│   ├── ImageTooSmallError
│   ├── EncryptedFileError
│   ├── NoSuchPageError
│   ├── NoTextError
│   ├── NothingDrawnError
│   ├── TooManyStrokesError
│   └── UnknownLabelError
├── DataError               a data set or a manifest is not as it must be
├── BundleError             a model bundle is broken or does not match its description
├── RegistryError           the model registry cannot be reached, or does not hold what was asked for
├── PromotionRefusedError   a candidate is worse than the version in `prod`
├── ExportParityError       the exported model does not answer like the trained one
└── PredictionLogError      a prediction cannot be written to the log
"""


class PenPressError(Exception):
    """Base of all errors that PenPress raises on purpose; the text holds the offending value and the remedy."""


class InputError(PenPressError):
    """What a caller sent cannot be used."""


class UnreadableImageError(InputError):
    """The bytes are not an image that can be read whole."""


class ImageTooLargeError(InputError):
    """The image has more pixels or bytes than the configured limit."""


class ImageTooSmallError(InputError):
    """The image has too few pixels to hold any sign."""


class NothingDrawnError(InputError):
    """The image has nothing on it that could be recognised."""


class TooManyStrokesError(InputError):
    """The image has more strokes than a text that is read sign by sign."""


class UnknownLabelError(InputError):
    """The model has no such label."""


class TooManyPagesError(ImageTooLargeError):
    """The file has more pages than the configured limit."""


class EncryptedFileError(InputError):
    """The file is protected by a password."""


class NoSuchPageError(InputError):
    """The file has fewer pages than the one that was asked for."""


class NoTextError(InputError):
    """The image is a page on which no text was found."""


class DataError(PenPressError):
    """A data set, a manifest or a source of samples is not as it must be."""


class BundleError(PenPressError):
    """A model bundle is broken or does not match its description."""


class RegistryError(PenPressError):
    """The model registry cannot be reached, or does not hold what was asked for."""


class PromotionRefusedError(PenPressError):
    """A candidate is worse than the version in `prod`, so the alias stays where it is."""


class ExportParityError(PenPressError):
    """The exported model does not give the outputs of the trained network."""


class PredictionLogError(PenPressError):
    """A prediction cannot be appended to the prediction log."""
