"""The WebGPU engines: wgpu-native and Dawn behind one backend class.

Law: the only place that imports ``wgpu`` and ``wgpudawn``.

What the engines do differently:

- Dawn's own pool of compiling threads is small, so pipelines compile in up to 16 threads of ours.
  Dawn synchronizes its calls for that; an error scope belongs to a thread.
- A graph that was replayed is encoded for the next time while the host waits for Dawn. wgpu-native
  never gives back a command buffer that is not submitted, so nothing is encoded ahead there.
- Waits poll both, since a wait inside an engine holds up other threads and Ctrl-C. Mesa's Vulkan on
  the CPU blocks in wgpu-native's submissions, so each waits for the one before in Python first.
- Dawn ignores calls once a device is lost, and wgpu-native reports it to nobody: each wait asks.
- wgpu-native does not zero workgroup memory. With checks, `gpucore.wgsl.zeroing` makes the kernel
  do it.
- Bounds checks are off for a device in Dawn and for a module in wgpu-native (``checks=False``).
- Matrix units need Dawn's ``chromium_experimental_subgroup_matrix``. Debian 12's Mesa 22.3 runs
  wgpu-native alone, Mesa 25 runs both.
"""

__all__: list[str] = []
