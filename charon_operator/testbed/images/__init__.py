"""Images of pods, made from what this machine has, without a registry or a builder.

Reads: busybox, the running interpreter and its packages, folders. Gives: `busybox`, `python`,
`of_folder`, `Image`, `load`. Never: downloads anything.
"""

from charon_operator.testbed.images.interpreter import python
from charon_operator.testbed.images.oci import Content, Image, Layer, Link, layer, load
from charon_operator.testbed.images.rootfs import busybox, of_folder

__all__ = [
    "Content",
    "Image",
    "Layer",
    "Link",
    "busybox",
    "layer",
    "load",
    "of_folder",
    "python",
]
