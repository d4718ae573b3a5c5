"""Counting of images, and the figures of `bench_images`, on known arrivals."""

from __future__ import annotations

import pytest

from lodestone_bench.emulators.pixel_code import PixelCode
from lodestone_cli.benchmarks.bench_images import TOPICS, image_rows
from lodestone_cli.ros.image_probe import ImageCounts
from lodestone_core.errors import InputError

pytestmark = pytest.mark.ros


def counted(numbers: list[int | None], latency_ms: float) -> ImageCounts:
    counts = ImageCounts()
    for number in numbers:
        counts.add(None if number is None else PixelCode(number, 0), latency_ms + (number or 0))
    return counts


def test_gaps_repeats_and_torn_images_are_counted() -> None:
    counts = counted([3, 4, 7, 7, None, 8], 1.0)
    assert (counts.images, counts.lost, counts.repeats, counts.without_code) == (6, 2, 1, 1)


def test_the_latency_of_a_pair_is_that_of_its_later_image_and_half_pairs_have_none() -> None:
    rows = {row.metric: row for row in image_rows({TOPICS[0]: counted([0, 1, 2, 3], 10.0), TOPICS[1]: counted([1, 2, 4], 20.0)}, "case")}
    assert (rows["latency_p100"].value, rows["latency_p50"].value, rows["latency_p50"].n) == (22.0, 21.5, 2)
    assert (rows["images"].value, rows["images_lost"].value) == (7.0, 1.0)
    assert rows["lost_share"].value == pytest.approx(12.5)


def test_images_that_were_never_taken_are_not_lost() -> None:
    counts = {topic: counted([0, 1, 4, 5], 1.0) for topic in TOPICS}
    rows = {row.metric: row for row in image_rows(counts, "case", missed=3)}
    assert (rows["images_lost"].value, rows["images_not_taken"].value, rows["lost_share"].value) == (1.0, 3.0, pytest.approx(100 / 9))


def test_without_a_pair_there_is_no_figure() -> None:
    with pytest.raises(InputError, match="pairs with a number"):
        image_rows({TOPICS[0]: counted([0], 1.0), TOPICS[1]: counted([1], 1.0)}, "case")
