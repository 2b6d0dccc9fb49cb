"""CycleGAN for TensorFlow and Keras 3: unpaired image-to-image translation.

`__init__.pyi` lists the public names. Each is imported when it is first used, so that
`import cyclegan_tf` does not wait for TensorFlow.
"""

import lazy_loader

from cyclegan_tf._version import __version__ as __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
