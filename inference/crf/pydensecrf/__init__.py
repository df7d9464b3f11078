"""A drop-in for the package ``pydensecrf``: a script changes its imports and nothing else.

``import inference.crf.pydensecrf.densecrf as dcrf`` takes the place of
``import pydensecrf.densecrf as dcrf``, and `inference.crf.pydensecrf.utils` that of
``pydensecrf.utils``. Results come from our engines; nothing is compiled while it is installed.
What our engines cannot do is refused with one sentence.
"""
