// What folding one axis needs, whatever the kernel: the array is (outer, n, inner), each run of
// `chunk` elements of the axis becomes one number of y, which is (outer, chunks, inner).
//
// Each operation has a map of four elements, a sum (any associative operation) of two, and its
// neutral element; the last pass finishes. Largest and least are those of keys, so that NaN wins.
//% if last
// Memory: x in words of four or of 16 bytes (arrays/words.wgsl), y of {{ stored }}; `per` has a number for each of
//% else
// Memory: x in words of four or of 16 bytes (arrays/words.wgsl), y of {{ acc }}; `per` has a number for each of
//% endif
// (outer, inner), `of_runs` for each run, as y.
//% set keyed = op in ("max", "min", "where_max", "where_min")
//% set counted = op in ("any", "all", "count")
//% set neutral = {"add": "0", "mul": "1", "max": "0", "min": "0xffffffff", "custom": identity | default("")}[combine]
//% if combine == "custom"
//% set forms = {"custom": "A(%s(a.x, b.x), %s(a.y, b.y), %s(a.z, b.z), %s(a.w, b.w))" | replace("%s", operator)}
//% set form_of_two = operator ~ "(a, b)"
//% else
//% set forms = {"add": "a + b", "mul": "a * b", "max": "max(a, b)", "min": "min(a, b)"}
//% set form_of_two = forms[combine]
//% endif
//% set wraps = "  // as NumPy's sums wrap, sanitize: allow overflow" if acc == "i32" and combine in ("add", "mul") else ""
{{ typed.head([kind, stored if last]) }}
alias c64x1 = vec2<f32>;
alias A = vec4<{{ acc }}>;

//% import "arrays/keys.wgsl" as keys
//% if keyed and first
{{ keys.of(typed.family[kind], typed.value[kind], "vec4<u32>", true) }}
//% endif
//% if op in ("max", "min") and last
{{ keys.of(family, target, "u32", true, "_one") }}
//% endif

struct Params {
    outer: u32,
    n: u32,
    inner: u32,
    chunk: u32,
    chunks: u32,
    count: u32,
    scale: f32,
}

@group(0) @binding(0) var<storage, read> x: array<{{ (typed.wide if quads > 1 and not ragged else typed.storage)[kind] }}>;
//% if second
@group(0) @binding(1) var<storage, read> per: array<{{ acc }}>;
//% endif
//% if of_runs
@group(0) @binding(2) var<storage, read> of_runs: array<{{ acc }}>;
//% endif
//% set given = [second, of_runs].count(true)
//% if kind == "parts"
@group(0) @binding({{ 1 + given }}) var<storage, read_write> y: array<c64x1>;
//% elif last
@group(0) @binding({{ 1 + given }}) var<storage, read_write> y: array<{{ stored }}>;
//% else
@group(0) @binding({{ 1 + given }}) var<storage, read_write> y: array<{{ acc }}>;
//% endif
//% if meets
@group(0) @binding({{ 2 + given }}) var<storage, read_write> nodes: array<atomic<u32>>;
//% endif
@group(0) @binding({{ 2 + given + meets }}) var<uniform> params: Params;

//% if combine == "custom"
{{ code }}
//% endif
fn neutral() -> A { return A({{ neutral }}); }

fn sum_of(a: A, b: A) -> A { return {{ forms[combine] }}; }{{ wraps }}

fn sum_of_two(a: {{ acc }}, b: {{ acc }}) -> {{ acc }} { return {{ form_of_two }}; }{{ wraps }}

fn total(v: A) -> {{ acc }} {
    return sum_of_two(sum_of_two(v.x, v.y), sum_of_two(v.z, v.w));
}

// Four elements of the axis, at `place`; `other` is theirs of `per`.
fn mapped(v: {{ typed.value[kind] }}, place: vec4<u32>, other: A) -> A {
//% if not first
    return v;
//% elif combine == "custom" and mapped_by
    return A({{ mapped_by }}(v.x), {{ mapped_by }}(v.y), {{ mapped_by }}(v.z), {{ mapped_by }}(v.w));
//% elif op == "squares"
    return (v - other) * (v - other);
//% elif op == "max"
    return key_of(v);
//% elif op == "min"
    return reversed_key(key_of(v));
//% elif op == "where_max"
    return select(vec4<u32>(0xffffffffu), place, key_of(v) == other);
//% elif op == "where_min"
    return select(vec4<u32>(0xffffffffu), place, reversed_key(key_of(v)) == other);
//% elif counted
    return select(vec4<u32>(1u), vec4<u32>(0u), v == {{ typed.value[kind] }}());
//% else
    return A(v);
//% endif
}

//% if last
fn finished(v: {{ acc }}) -> {{ target }} {
//% else
fn finished(v: {{ acc }}) -> {{ acc }} {
//% endif
//% if op in ("mean", "squares") and last
    return v * params.scale;
//% elif combine == "custom" and finished_by and last
    return {{ finished_by }}(v);
//% elif op == "all" and last
    return min(v, 1u);
//% elif op == "max" and last
    return number_of_one(v);
//% elif op == "min" and last
    return number_of_one(reversed_key_one(v));
//% else
//% if last
    return {{ target }}(v);
//% else
    return {{ acc }}(v);
//% endif
//% endif
}

fn put(i: u32, v: {{ acc }}) {
    y[{{ "i >> 1u][i & 1u" if kind == "parts" else "i" }}] = {{ "f16(finished(v))" if last and stored == "f16" else "finished(v)" }};
}
