"""The fully connected CRF: marginals in which similar pixels agree.

How far engines are from exact mean field, with the default kernels and 10 iterations: means, in
brackets the worst. Filters are compared by relative L2 on softmaxed unaries, marginals by total
variation, labels by the share that is the same. ``tests/benchmarks/test_crf_accuracy.py`` holds
ours to the usual C++ engine image by image.

============  =================  =================  =================  =================
engine        appearance filter  smoothness filter  total variation    labels that agree
============  =================  =================  =================  =================
seven photographs of PASCAL VOC (500×375, 21 labels), unaries from noisy labels
----------------------------------------------------------------------------------------
pydensecrf    0.0308 (0.0374)    0.0027 (0.0032)    0.0066 (0.0132)    99.4 % (98.7 %)
fused         0.0261 (0.0316)    0.0005 (0.0005)    0.0031 (0.0061)    99.7 % (99.4 %)
lattice       0.0216 (0.0253)    0.0003 (0.0003)    0.0026 (0.0042)    99.8 % (99.6 %)
----------------------------------------------------------------------------------------
ten frames of CamVid (240×180, 11 labels), unaries from noisy labels
----------------------------------------------------------------------------------------
pydensecrf    0.0465 (0.0520)    0.0042 (0.0044)    0.0233 (0.0452)    97.7 % (95.2 %)
fused         0.0347 (0.0372)    0.0007 (0.0007)    0.0085 (0.0134)    99.1 % (98.3 %)
lattice       0.0290 (0.0304)    0.0004 (0.0004)    0.0077 (0.0138)    99.2 % (98.5 %)
----------------------------------------------------------------------------------------
the same, unaries from a segmenter
----------------------------------------------------------------------------------------
pydensecrf    0.0479 (0.0516)    0.0042 (0.0043)    0.0070 (0.0123)    99.3 % (98.7 %)
fused         0.0356 (0.0378)    0.0007 (0.0007)    0.0040 (0.0080)    99.6 % (99.2 %)
lattice       0.0297 (0.0317)    0.0004 (0.0005)    0.0031 (0.0056)    99.7 % (99.5 %)
============  =================  =================  =================  =================
"""
