// What scanning one axis needs, whatever the kernel: the array is (outer, n, inner). The result of an
//% if exclusive
// element takes it in (exclusive: only those before it).
//% else
// element takes it in (inclusive).
//% endif
//
// Memory: x in words of four (arrays/words.wgsl), y of {{ target }}, laid out as x.
//% if combine == "custom"
//% set forms = {"custom": "A(%s(a.x, b.x), %s(a.y, b.y), %s(a.z, b.z), %s(a.w, b.w))" | replace("%s", operator)}
//% set form_of_two = operator ~ "(a, b)"
//% else
//% set forms = {"add": "a + b", "mul": "a * b", "max": "max(a, b)"}
//% set form_of_two = forms[combine]
//% endif
//% set wraps = "  // as NumPy's sums wrap, sanitize: allow overflow" if acc == "i32" and combine in ("add", "mul") else ""
{{ typed.head([kind, target]) }}
alias c64x1 = vec2<f32>;
alias A = vec4<{{ acc }}>;

//% import "arrays/keys.wgsl" as keys
//% if op in ("max", "min") and first
{{ keys.of(typed.family[kind], typed.value[kind], "vec4<u32>", true) }}
//% endif
//% if combine == "custom"
{{ code }}
//% endif
fn sum_of(a: A, b: A) -> A { return {{ forms[combine] }}; }{{ wraps }}

fn sum_of_two(a: {{ acc }}, b: {{ acc }}) -> {{ acc }} { return {{ form_of_two }}; }{{ wraps }}

fn mapped(v: {{ typed.value[kind] }}) -> A {
//% if op == "max" and first
    return key_of(v);
//% elif op == "min" and first
    return reversed_key(key_of(v));
//% elif combine == "custom" and mapped_by and first
    return A({{ mapped_by }}(v.x), {{ mapped_by }}(v.y), {{ mapped_by }}(v.z), {{ mapped_by }}(v.w));
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
