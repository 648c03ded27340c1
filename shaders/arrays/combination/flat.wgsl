// Head of flat kernels, over words of {{ width }} element(s).
//
// Memory: buffers are rows of words W of the storage scalar S, computed with as F. The last word
// may reach past the last element, into the padding that every buffer has.
// Limits: 2^32 - 2^11 words; a row of 65535 workgroups, then the next row.
//% if "f16" in (scalar, target | default("f32"))
enable f16;
//% endif

alias S = {{ scalar }};
//% if width > 1
alias W = vec{{ width }}<S>;
alias F = vec{{ width }}<f32>;
//% else
alias W = S;
alias F = f32;
//% endif

const WORKGROUP = 64u;

// The word of an invocation, for kernels with a main of their own (the others: each.wgsl).
fn word_of(id: vec3<u32>) -> u32 {
    return id.x + id.y * (65535u * WORKGROUP);
}
