"""The HIP engine: WGSL printed as HIP, compiled by hiprtc, run on AMD's cards through libamdhip64.

Law: the only place that touches HIP. Nothing here is imported before an adapter is asked for, and
nothing is found where the libraries are missing. What CUDA has, too, is in
`gpucore.backends.drivers`.

No AMD card was at hand: every kernel is compiled, and the host's part runs on a library that takes
HIP's place in tests. No kernel has run on a card.
"""

__all__: list[str] = []
