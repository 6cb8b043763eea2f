"""CLIP's preprocessing: sizes, roundings and float32 arithmetic."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from xbench.video.decode import normalise, resize_and_crop

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def noise(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(width * 1000 + height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def resize_and_crop_plainly(image: Image.Image, size: int) -> np.ndarray:
    width, height = image.size
    if width < height:
        image = image.resize((size, int(size * height / width)), Image.Resampling.BICUBIC)
    else:
        image = image.resize((int(size * width / height), size), Image.Resampling.BICUBIC)
    pixels = np.asarray(image)
    top = round((pixels.shape[0] - size) / 2)
    left = round((pixels.shape[1] - size) / 2)
    return pixels[top : top + size, left : left + size].transpose(2, 0, 1)


@settings(max_examples=40, deadline=None)
@given(width=st.integers(1, 200), height=st.integers(1, 200), size=st.integers(1, 64))
def test_any_picture_becomes_the_centre_square_of_the_plain_computation(
    width: int, height: int, size: int
) -> None:
    image = noise(width, height)
    result = resize_and_crop(image, size)
    assert result.shape == (3, size, size)
    assert result.dtype == np.uint8
    assert result.flags.c_contiguous
    assert np.array_equal(result, resize_and_crop_plainly(image, size))


def test_a_margin_that_ends_in_one_half_goes_to_the_even_side() -> None:
    pixels = np.zeros((64, 87, 3), dtype=np.uint8)
    pixels[:, 12] = 255
    assert resize_and_crop(Image.fromarray(pixels), 64)[0, :, 0].min() == 255


@pytest.mark.parametrize(("width", "height"), [(1, 1), (64, 64), (64, 90), (90, 64)])
def test_a_picture_whose_smaller_side_fits_is_only_cropped(width: int, height: int) -> None:
    image = noise(width, height).resize((width, height)) if width > 1 else noise(1, 1)
    result = resize_and_crop(image, min(width, height))
    assert set(np.unique(result)) <= set(np.unique(np.asarray(image)))


def test_normalising_rounds_to_float32_after_each_step() -> None:
    values = np.arange(256, dtype=np.uint8)
    frames = np.broadcast_to(values.reshape(1, 1, 16, 16), (2, 3, 16, 16)).copy()
    mean, std = np.array([MEAN, STD], dtype=np.float32)[:, :, None, None]
    expected = (frames.astype(np.float32) / np.float32(255) - mean) / std
    result = normalise(torch.from_numpy(frames), MEAN, STD)
    assert result.dtype == torch.float32
    assert np.array_equal(result.numpy(), expected)
    assert frames.dtype == np.uint8
    assert np.array_equal(frames[0, 0].ravel(), values)
