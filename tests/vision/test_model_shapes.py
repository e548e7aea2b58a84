"""The benchmark's random models have the true shapes: as many weights as the cards of the models say."""

import pytest

from khung.vision.cards import CARDS

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("name", ["gme-2b", "gme-7b"])
def test_embedders_have_exactly_the_published_number_of_weights(name):
    from bench.model_shapes import parameters

    assert parameters(name) == CARDS[name].parameters


def test_the_describer_has_the_number_that_its_card_rounds():
    from bench.model_shapes import parameters

    assert round(parameters("qwen2.5-vl-7b"), -6) == CARDS["qwen2.5-vl-7b"].parameters
