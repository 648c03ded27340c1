"""Recording and replay: streams, graphs, events, profiles, and the work of launches.

Law: commands are appended here and submitted to a backend; nothing here compiles a kernel.

A stream is a list that is recorded beside others, and an event is a submission with a fence. WebGPU
has one queue for all; CUDA and HIP have one for each stream. While there are several streams,
commands that are not submitted keep their memory.

A profile sends the same commands through ``submit_timed``: each launch in a compute pass of its
own, between two timestamps. A launch may carry its work (FLOP and bytes), from which a profile
computes rates and shares of a roof. Mesa compiles at a program's first launch, for seconds. So a
program that is timed for the first time is launched over no workgroups before.
"""

__all__: list[str] = []
