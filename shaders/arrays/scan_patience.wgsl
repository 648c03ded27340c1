// Looks at the words in which workgroups meet. Included by arrays/scan_tree.wgsl and arrays/scan_windows.wgsl.
//
// A load may be one that a cache answers, as where HLSL or GLSL is printed, and never see what another workgroup shows;
// who has waited for long looks with an operation that writes, which sees the latest.
//
// Memory: `nodes`, an array of atomic<u32> of the kernel that includes this.

// Looks at a missing node before it is made: some 50 microseconds, far above what one in work takes.
const PATIENCE = 64u;

fn word_of_node(at: u32) -> u32 { return atomicLoad(&nodes[at]); }

fn latest_word_of_node(at: u32) -> u32 { return atomicOr(&nodes[at], 0u); }
