"""How good a generator is: metrics, features and scores."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submodules={"metrics"})
