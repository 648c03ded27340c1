// A user's statements on each element of operands that broadcast as NumPy does, four elements an
// invocation. Operands are read in the modes of arrays/elementwise.wgsl; whole arrays keep the names
// that the statements know them by.
//
// Memory: see arrays/words.wgsl; whole arrays are rows of single elements.
// Limits: 2^32 - 2^11 words; a row of 65535 workgroups, then the next.
//% import "arrays/words.wgsl" as typed
//% set kind = kinds.split()
//% set mode = modes.split()
//% set name = names.split()
//% set count = mode | length
//% set strided = ("row", "column", "each")
//% set output = outputs.split()
//% set target = targets.split()
//% set value_type = computed.split()
//% set array_names = []
//% set array_kinds = []
//% for each in arrays.split()
//% set _ = array_names.append(each.split("=")[0])
//% set _ = array_kinds.append(each.split("=")[1])
//% endfor
{{ typed.head(kind + target + array_kinds) }}
alias c64x1 = vec2<f32>;
//% for each in aliases.split()
alias {{ each.split("=")[0] }} = {{ each.split("=")[1] }};
//% endfor

struct Params {
    count: u32,
    last: u32,
//% include "arrays/operands/fields.wgsl"
}

//% set place = namespace(next=0)
//% for k in range(count)
//% if mode[k] != "number"
@group(0) @binding({{ place.next }}) var<storage, read> x{{ k }}: array<{{ typed.storage[kind[k]] }}>;
//% set place.next = place.next + 1
//% endif
//% endfor
//% for each in array_names
@group(0) @binding({{ place.next }}) var<storage, read> {{ each }}: array<{{ {"c64": "c64x1"}.get(array_kinds[loop.index0], array_kinds[loop.index0]) }}>;
//% set place.next = place.next + 1
//% endfor
//% for each in output
@group(0) @binding({{ place.next }}) var<storage, read_write> y{{ loop.index0 }}_: array<{{ typed.storage[target[loop.index0]] }}>;
//% set place.next = place.next + 1
//% endfor
@group(0) @binding({{ place.next }}) var<uniform> params: Params;

//% include "arrays/operands/reads.wgsl"

struct Results {
//% for each in output
    {{ each }}: {{ value_type[loop.index0] }},
//% endfor
}

{{ preamble }}

fn element(
    i: u32,
    n: u32,
//% for each in name
    {{ each }}: {{ typed.element[kind[loop.index0]] }},
//% endfor
) -> Results {
//% for each in output
    var {{ each }}: {{ value_type[loop.index0] }};
//% endfor
    {{ body }}
    return Results({{ output | join(", ") }});
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let word = id.x + id.y * (65535u * 64u);
    if (word >= params.count) { return; }
//% for k in range(count)
    let v{{ k }} = operand{{ k }}(word);
//% endfor
//% for e in range(4)
    let r{{ e }} = element(
        min(4u * word + {{ e }}u, params.last),
        params.last + 1u,
//% for k in range(count)
//% if kind[k] == "c64"
        pair_of(v{{ k }}[{{ e // 2 }}], {{ e % 2 }}u),
//% else
        v{{ k }}[{{ e }}],
//% endif
//% endfor
    );
//% endfor
//% for each in output
    let w{{ loop.index0 }} = {{ typed.joined(target[loop.index0], "r0." ~ each, "r1." ~ each, "r2." ~ each, "r3." ~ each) }};
    y{{ loop.index0 }}_[word] = {{ typed.stored(target[loop.index0], "w%d" % loop.index0) }};
//% endfor
}
