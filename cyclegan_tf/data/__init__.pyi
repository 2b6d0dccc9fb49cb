from .batches import steps_per_epoch as steps_per_epoch
from .batches import training_batches as training_batches
from .demo import demo_images as demo_images
from .domains import Domain as Domain
from .preprocessing import Preprocessing as Preprocessing
from .sources import find_sources as find_sources
