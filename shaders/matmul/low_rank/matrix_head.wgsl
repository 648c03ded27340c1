// Head of the two halves of a low-rank update on matrix units (Dawn): f16 operands, sums in f32.
enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity);
alias f16x8 = vec4<u32>;
alias f16x2 = u32;

const NONE = 0xffffffffu;

// The first row of a block of 32 rows. The last block goes back to where it is whole: rows that it shares
// with the one before have the same results in both.
fn first_row(block: u32, rows: u32) -> u32 { return min(block * 32u, rows - 32u); }
