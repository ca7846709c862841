"""Event streams made from images: a simulated event camera looks at a picture that moves."""

from leanspike.data.generated.camera import CameraConfig, film

__all__ = ["CameraConfig", "film"]
