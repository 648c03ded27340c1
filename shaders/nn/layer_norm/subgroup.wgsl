// For GPUs whose subgroups all have {{ lanes }} lanes: a row is a subgroup's, which adds up by itself.
//
// Limits: invocations {{ lanes }} i to {{ lanes }} i + {{ lanes - 1 }} of a workgroup are its subgroup i.
enable subgroups;
//% include "nn/layer_norm/lanes.wgsl"

// Sum over the lanes of a row.
fn row_sum(value: f32, t: u32, lane: u32) -> f32 {
    return subgroupAdd(value);
}
