"""Mean field compiled by Numba for the CPU: float32, several threads, no gradients.

The counterpart in torch, with gradients and on any device, is `inference.crf.lattice`.

| here (Numba)                                    | there (torch)                            |
| ----------------------------------------------- | ---------------------------------------- |
| `engine`: the class `Fused`                     | `lattice.engine`: the class `Lattice`    |
| `terms`: a kernel as arrays                     | `lattice.csr.FactoredKernel`             |
| `permutohedral`: vertices, barycentric weights  | `lattice.permutohedral`                  |
| `blur`: smoothness at half resolution           | `lattice.grid`                           |
| `mean_field`: iterations over all pixels        | `lattice.engine.Lattice.marginals`       |
| `fused_pass`, `slice`, `splat`, `blur`          | `lattice.messages`, products of `lattice.csr` |
| `single_thread`: all iterations in one call     | -                                        |
| `layout`: channels first, channels last         | `lattice.engine`                         |
| `cpu`: compilation, SIMD, threads               | torch itself                             |
"""
