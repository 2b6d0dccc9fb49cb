"""A traced network is one operation, which XLA can compile."""

import functools

import pytest
import tensorflow as tf
import tiny

import cyclegan_tf
from cyclegan_tf.models.acceleration.tracing import traced


def compiled_by_xla(jit_compile):
    """Whether XLA compiles each function of a small network and of its gradient."""
    network = cyclegan_tf.resnet_generator(2, 1)
    call = traced(network, jit_compile)

    @tf.function(autograph=False)
    def step(images):
        with tf.GradientTape() as tape:
            output = call(images, training=True)
        return tape.gradient(output, [each.value for each in network.weights])

    step = step.get_concrete_function(tf.TensorSpec((2, 16, 16, 3)))
    functions = step.graph.as_graph_def().library.function
    assert len(functions) >= 2  # the network and its gradient
    return {function.attr["_XlaMustCompile"].b for function in functions}


@pytest.mark.parametrize("jit_compile", [False, True])
def test_xla_compiles_networks_if_it_should(jit_compile):
    assert compiled_by_xla(jit_compile) == {jit_compile}


def test_the_remapper_is_off_for_all_threads():
    assert tf.config.optimizer.get_experimental_options()["remapping"] is False


@pytest.mark.parametrize(
    ("any_length", "expected"), [(True, [None]), (False, [2, 1, 3])]
)
def test_networks_are_traced_once_for_all_lengths_or_for_each(any_length, expected):
    lengths = []
    network = cyclegan_tf.resnet_generator(2, 1)

    def recorded(images, training):
        lengths.append(images.shape[0])
        return network(images, training=training)

    call = functools.partial(traced(recorded), training=False, any_length=any_length)
    step = tf.function(lambda images: call(images) + call(images[:1]))
    step(tf.constant(tiny.images(2, side=16)))
    step(tf.constant(tiny.images(3, side=16)))
    assert lengths == expected
