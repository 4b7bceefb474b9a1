"""The local Rekognition: real analysis of the actual pixels, in Rekognition's own shapes and errors.

Importing this package loads no model and no image library.
"""

from imgpipe_cli.local.rekognition.service import Rekognition

__all__ = ["Rekognition"]
