// Body of flat kernels that make every word of the result alone: y[i] = result(i), or where they are
// `scattered`, y[goal(i)] = result(i).
//
// A workgroup takes {{ words }} times {{ workgroup }} neighbouring words. A lane asks for all its operands before it
// stores anything, so that enough bytes are under way to fill the memory's pipe.
// Memory: y is a row of words. Limits: 2^32 - 2^11 words; a row of 65535 workgroups, then the next.
//% set tile = workgroup * words
//% set goal = "goal(%s)" if scattered | default(false) else "%s"

@compute @workgroup_size({{ workgroup }})
//% if words == 1
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x + id.y * (65535u * {{ workgroup }}u);
    if (i >= params.count) { return; }
    y[{{ goal % "i" }}] = result(i);
}
//% else
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first = (group.x + group.y * 65535u) * {{ tile }}u + lane;
    if (first + {{ tile - workgroup }}u < params.count) {
//% for k in range(words)
        let v{{ k }} = result(first + {{ k * workgroup }}u);
//% endfor
//% for k in range(words)
        y[{{ goal % ("first + %du" % (k * workgroup)) }}] = v{{ k }};
//% endfor
        return;
    }
    for (var i = first; i < params.count; i += {{ workgroup }}u) { y[{{ goal % "i" }}] = result(i); }
}
//% endif
