"""What a trial of a training could have measured."""

from cyclegan_tf.planning.forecast import Measurements

MEASURED = Measurements(
    steps_per_epoch=100,
    epochs=10,
    start_seconds=5,
    first_step_seconds=11,
    step_seconds=2,
    first_epoch_end_seconds=30,
    epoch_end_seconds=20,
    first_evaluation_seconds=60,
    evaluation_seconds=40,
    save_seconds=3,
    peak_bytes=4000,
    checkpoint_bytes=500,
    generators_bytes=70,
    picture_bytes=6,
    log_bytes=1,
)
