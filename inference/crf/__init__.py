"""The fully connected CRF: marginals in which similar pixels agree.

How far engines are from exact mean field, on ten frames of CamVid (240×180, 11 labels, unaries
from noisy labels, the default kernels, 10 iterations): means, and in brackets the worst. Filters
are compared by relative L2 on the unaries' softmax, marginals by total variation, labels by the
share that is the same. ``tests/benchmarks/test_crf_accuracy.py`` measures it.

============  =================  =================  =================  =================
engine        appearance filter  smoothness filter  total variation    labels that agree
============  =================  =================  =================  =================
pydensecrf    0.0465 (0.0520)    0.0042 (0.0044)    0.0233 (0.0452)    97.7 % (95.2 %)
fused         0.0331 (0.0352)    0.0007 (0.0007)    0.0084 (0.0134)    99.1 % (98.3 %)
lattice       0.0290 (0.0304)    0.0004 (0.0004)    0.0077 (0.0138)    99.2 % (98.5 %)
============  =================  =================  =================  =================
"""
