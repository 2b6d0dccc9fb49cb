from . import data as data
from . import images as images
from ._shared.errors import InputError as InputError
from ._shared.quiet import quiet_tensorflow as quiet_tensorflow
from .beam.options import TranslateBeamConfig as TranslateBeamConfig
from .beam.translate import translate_beam as translate_beam
from .config.options import CycleGANObjective as CycleGANObjective
from .config.options import DatasetConfig as DatasetConfig
from .config.options import NetworkConfig as NetworkConfig
from .config.options import OptimizationConfig as OptimizationConfig
from .config.options import RecordConfig as RecordConfig
from .config.options import TrainConfig as TrainConfig
from .config.recipes import make_train_config as make_train_config
from .doctor.diagnose import diagnose as diagnose
from .doctor.options import DoctorConfig as DoctorConfig
from .evaluation import metrics as metrics
from .evaluation.evaluate import evaluate as evaluate
from .evaluation.options import EvaluateConfig as EvaluateConfig
from .export.export import export_generators as export_generators
from .export.options import ExportConfig as ExportConfig
from .models import losses as losses
from .models.cut import CUT as CUT
from .models.cyclegan import CycleGAN as CycleGAN
from .models.image_pool import ImagePool as ImagePool
from .models.networks.discriminators import (
    patchgan_discriminator as patchgan_discriminator,
)
from .models.networks.discriminators import pixel_discriminator as pixel_discriminator
from .models.networks.generators import (
    mobile_resnet_generator as mobile_resnet_generator,
)
from .models.networks.generators import resnet_generator as resnet_generator
from .models.networks.generators import unet_generator as unet_generator
from .models.networks.initializers import xavier_start as xavier_start
from .models.pix2pix import Pix2Pix as Pix2Pix
from .models.schedules import LinearDecay as LinearDecay
from .planning.plan import plan_training as plan_training
from .pretrained.convert import export_pytorch as export_pytorch
from .pretrained.convert import import_network as import_network
from .pretrained.find import load_generator as load_generator
from .pretrained.inspection import inspect_networks as inspect_networks
from .pretrained.options import ExportPytorchConfig as ExportPytorchConfig
from .pretrained.options import ImportConfig as ImportConfig
from .report.options import ReportConfig as ReportConfig
from .report.report import write_report as write_report
from .training.distillation import distill as distill
from .training.train import check_training as check_training
from .training.train import resume as resume
from .training.train import train as train
from .translation.options import ServeConfig as ServeConfig
from .translation.options import TranslateConfig as TranslateConfig
from .translation.page import serve as serve
from .translation.tiled.translator import TiledTranslator as TiledTranslator
from .translation.translate import translate as translate
from .translation.translator import Translator as Translator
