from .folders import find_images as find_images
from .pixels import denormalize as denormalize
from .pixels import normalize as normalize
from .pixels import resize_image as resize_image
from .reading import read_image as read_image
from .writing import write_contact_sheet as write_contact_sheet
from .writing import write_image as write_image
