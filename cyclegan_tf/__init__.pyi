from . import losses as losses
from .image_pool import ImagePool as ImagePool
from .model import CycleGAN as CycleGAN
from .networks import patchgan_discriminator as patchgan_discriminator
from .networks import pixel_discriminator as pixel_discriminator
from .networks import resnet_generator as resnet_generator
from .networks import unet_generator as unet_generator
from .schedules import LinearDecay as LinearDecay
