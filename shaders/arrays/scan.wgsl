// What scanning one axis needs, whatever the kernel: the array is (outer, n, inner), cut along the
// axis into runs of `chunk`; `before` has for each run what all runs before it come to, (outer,
// chunks, inner). The result of an element takes it in ({{ "exclusive: only those before it" if exclusive else "inclusive" }}).
//
// Memory: x in words of four (arrays/words.wgsl), y of {{ target }}, laid out as x.
//% set forms = {"add": "a + b", "mul": "a * b", "max": "max(a, b)"}
{{ typed.head([kind, target]) }}
alias c64x1 = vec2<f32>;
alias A = vec4<{{ acc }}>;

//% import "arrays/keys.wgsl" as keys
//% if op in ("max", "min") and first
{{ keys.of(typed.family[kind], typed.value[kind], "vec4<u32>", true) }}
//% endif

struct Params {
    n: u32,
    inner: u32,
    chunk: u32,
    chunks: u32,
    count: u32,
}

@group(0) @binding(0) var<storage, read> x: array<{{ typed.storage[kind] }}>;
//% if many
@group(0) @binding(1) var<storage, read> before: array<{{ "c64x1" if kind == "parts" else acc }}>;
//% endif
@group(0) @binding({{ 2 if many else 1 }}) var<storage, read_write> y: array<{{ "c64x1" if kind == "parts" else "vec4<%s>" % target if aligned is defined and aligned else target }}>;
@group(0) @binding({{ 3 if many else 2 }}) var<uniform> params: Params;

//% if many
fn before_of(i: u32) -> {{ acc }} { return before[{{ "i >> 1u][i & 1u" if kind == "parts" else "i" }}]; }
//% endif

fn sum_of(a: A, b: A) -> A { return {{ forms[combine] }}; }

fn sum_of_two(a: {{ acc }}, b: {{ acc }}) -> {{ acc }} { return {{ forms[combine] }}; }

fn mapped(v: {{ typed.value[kind] }}) -> A {
//% if op == "max" and first
    return key_of(v);
//% elif op == "min" and first
    return reversed_key(key_of(v));
//% else
    return A(v);
//% endif
}

fn finished(v: A) -> {{ typed.value[kind] if first else "A" }} {
//% if op == "max" and first
    return number_of(v);
//% elif op == "min" and first
    return number_of(reversed_key(v));
//% elif first
    return {{ typed.value[kind] }}(v);
//% else
    return v;
//% endif
}

//% if aligned is defined and aligned
fn put_word(i: u32, v: {{ typed.value[kind] if first else "A" }}) { y[i >> 2u] = vec4<{{ target }}>(v); }
//% else
fn put(i: u32, v: {{ typed.element[kind] if first else acc }}) {
    y[{{ "i >> 1u][i & 1u" if kind == "parts" else "i" }}] = {{ "" if kind == "parts" else target }}(v);
}
//% endif
