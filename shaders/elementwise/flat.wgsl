// Head of flat kernels: one invocation a word of the result, a word being {{ width }} element(s).
//
// Memory: buffers are rows of words W of the storage scalar S, computed with as F. The last word
// may reach past the last element, into the padding that every buffer has.
// Limits: 2^32 - 1 words; a row of 65535 workgroups, then the next row.
//% if scalar == "f16"
enable f16;
//% endif

alias S = {{ scalar }};
//% if width == 4
alias W = vec4<S>;
alias F = vec4<f32>;
//% else
alias W = S;
alias F = f32;
//% endif

const WORKGROUP = 64u;

fn word_of(id: vec3<u32>) -> u32 {
    return id.x + id.y * (65535u * WORKGROUP);
}
