// What scanning one axis needs, whatever the kernel: the array is (outer, n, inner). The result of an
//% if exclusive
// element takes it in (exclusive: only those before it).
//% else
// element takes it in (inclusive).
//% endif
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

//% if first
fn finished(v: A) -> {{ typed.value[kind] }} {
//% else
fn finished(v: A) -> A {
//% endif
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
