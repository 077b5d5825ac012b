"""The images of the soak: every task has its own, in every format, and can answer them."""

import io

import pytest
from PIL import Image

from app.config import Settings
from app.inference.recogniser import Recogniser
from app.preprocess import read_image
from app.tasks import TASKS
from benchmarks.soak import FORMATS, varied


@pytest.mark.parametrize("task", TASKS)
def test_every_task_is_sent_images_that_it_can_answer(task: str) -> None:
    """Of twelve images in six formats each is recognised, however small."""
    contents = varied(12, TASKS[task])
    assert [Image.open(io.BytesIO(content)).format for content in contents] == [*FORMATS, *FORMATS]
    recogniser = Recogniser.load(Settings().embedded / task, threads=1)
    assert len(recogniser.predict([read_image(content) for content in contents])) == 12
