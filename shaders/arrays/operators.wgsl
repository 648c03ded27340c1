// Operators on words of four elements by name: `apply` takes one to three words of the dtype
// {{ kind[0] }} (where: after the condition's) and gives a word of {{ kind[-1] }}. Engines do not agree
// whether NaN != x: what differs is what is not equal.
//% set family = typed.family[kind[-2]]
//% set V = typed.value[kind[-2]]
//% set zero = V ~ "()"
//% include "arrays/special.wgsl"
//% if op in ("floor_divide", "remainder") or (op == "power" and family != "float")
//% import "arrays/quotients.wgsl" as quotients
//% if family == "float"
{{ quotients.floats() }}
//% else
{{ quotients.whole(V, typed.element[kind[-2]], family == "signed") }}
//% endif
//% elif family == "complex" and op in ("exp", "log")
//% include "arrays/circular.wgsl"
//% include "arrays/exponentials.wgsl"
//% elif op in ("sin", "cos", "tan", "asin", "acos", "atan", "atan2")
//% include "arrays/circular.wgsl"
//% elif op in exponential
//% include "arrays/exponentials.wgsl"
//% endif

//% if op in ("key", "key_down", "key_places", "key_places_down")
//% import "arrays/keys.wgsl" as keys
{{ keys.of(family, V, "vec4<u32>", op in ("key_places", "key_places_down")) }}
//% elif op in ("number", "number_down")
//% import "arrays/keys.wgsl" as keys
{{ keys.of(typed.family[kind[-1]], typed.value[kind[-1]], "vec4<u32>", false) }}
//% endif

//% set any_family = {
    "key": "key_of(a)", "key_down": "reversed_key(key_of(a))",
    "key_places": "key_of(a)", "key_places_down": "reversed_key(key_of(a))",
    "number": "number_of(a)", "number_down": "number_of(reversed_key(a))",
    "add": "a + b", "subtract": "a - b", "multiply": "a * b", "divide": "a / b",
    "negative": "-a", "positive": "a", "square": "a * a", "sign": "sign(a)", "absolute": "abs(a)",
    "maximum": "max(a, b)", "minimum": "min(a, b)", "fmax": "max(a, b)", "fmin": "min(a, b)",
    "clip": "min(max(a, b), c)",
    "floor_divide": "floor_quotient(a, b)", "remainder": "floor_remainder(a, b)",
    "power": "power_of(a, b)",
    "equal": "flags(a == b)", "not_equal": "flags(!(a == b))",
    "less": "flags(a < b)", "less_equal": "flags(a <= b)",
    "greater": "flags(a > b)", "greater_equal": "flags(a >= b)",
    "logical_and": "flags(!((a == %s) | (b == %s)))" | replace("%s", zero),
    "logical_or": "flags(!((a == %s) & (b == %s)))" | replace("%s", zero),
    "logical_xor": "flags((a == %s) != (b == %s))" | replace("%s", zero),
    "logical_not": "flags(a == %s)" | replace("%s", zero),
    "where": "select(b, c, a == %s())" | replace("%s", typed.value[kind[0]]),
    "bitwise_and": "a & b", "bitwise_or": "a | b", "bitwise_xor": "a ^ b", "bitwise_not": "~a",
    "left_shift": "select(a << (vec4<u32>(b) & vec4<u32>(31u)), %s, vec4<u32>(b) > vec4<u32>(31u))" | replace("%s", zero),
    "right_shift": "a >> min(vec4<u32>(b), vec4<u32>(31u))",
}
//% set of_unsigned = {
    "negative": "%s - a" | replace("%s", zero), "absolute": "a", "sign": "flags(a != %s)" | replace("%s", zero),
    "right_shift": "select(a >> (b & vec4<u32>(31u)), %s, b > vec4<u32>(31u))" | replace("%s", zero),
}
//% set of_float = {
    "sign": "select(sign(a), a, is_nan(a))",
    "maximum": "select(max(a, b), a + b, is_nan(a) | is_nan(b))",
    "minimum": "select(min(a, b), a + b, is_nan(a) | is_nan(b))",
    "fmax": "select(select(max(a, b), a, is_nan(b)), b, is_nan(a))",
    "fmin": "select(select(min(a, b), a, is_nan(b)), b, is_nan(a))",
    "clip": "select(min(max(a, b), c), a + b + c, is_nan(a) | is_nan(b) | is_nan(c))",
    "reciprocal": "1.0 / a", "sqrt": "sqrt(a)",
    "floor": "floor(a)", "ceil": "ceil(a)", "trunc": "trunc(a)", "round": "round(a)",
    "isnan": "flags(is_nan(a))", "isinf": "flags(is_infinite(a))",
    "isfinite": "flags(is_finite(a))",
    "atan2": "atan2_of(a, b)",
}
//% set of_halves = {
    "add": "a + b", "subtract": "a - b", "negative": "-a", "positive": "a",
    "multiply": "complex_product(a, b)", "square": "complex_product(a, a)",
    "divide": "complex_quotient(a, b)",
    "reciprocal": "complex_quotient(vec4<f32>(1.0, 0.0, 1.0, 0.0), a)",
    "conjugate": "a * vec4<f32>(1.0, -1.0, 1.0, -1.0)",
    "exp": "complex_exponential(a)", "log": "complex_logarithm(a)",
}
//% set of_pairs = {"real": "a.xz", "imag": "a.yw", "absolute": "lengths(a)"}
//% if family == "complex"
//% include "arrays/complex.wgsl"

fn half(a: vec4<f32>{{ ", b: vec4<f32>" if count > 1 else "" }}) -> {{ "vec2<f32>" if op in of_pairs else "vec4<f32>" }} {
//% if op in of_halves
    return {{ of_halves[op] }};
//% elif op in of_pairs
    return {{ of_pairs[op] }};
//% else
    return a;
//% endif
}
//% endif

{# The operation on values by their names; complex ones half a word at a time. #}
fn apply(
//% for name in ("a", "b", "c")[:count]
    {{ name }}: {{ typed.value[kind[loop.index0]] }},
//% endfor
) -> {{ typed.value[kind[-1]] }} {
//% if family == "complex" and op == "where"
    let taken = !(a == {{ typed.value[kind[0]] }}());
    return c64x4(select(c[0], b[0], taken.xxyy), select(c[1], b[1], taken.zzww));
//% elif family == "complex" and op in ("equal", "not_equal")
    let same = vec4<bool>((a[0].xz == b[0].xz) & (a[0].yw == b[0].yw), (a[1].xz == b[1].xz) & (a[1].yw == b[1].yw));
//% if op == "not_equal"
    return flags(!same);
//% else
    return flags(same);
//% endif
//% elif family == "complex" and op in ("isnan", "isinf", "isfinite")
//% set test = {"isnan": "is_nan", "isinf": "is_infinite", "isfinite": "is_finite"}[op]
    let x = {{ test }}(vec4<f32>(a[0].xz, a[1].xz));
    let y = {{ test }}(vec4<f32>(a[0].yw, a[1].yw));
//% if op == "isfinite"
    return flags(x & y);
//% else
    return flags(x | y);
//% endif
//% elif family == "complex" and op in of_pairs
    return vec4<f32>(half(a[0]), half(a[1]));
//% elif family == "complex"
//% if count == 2
    return c64x4(half(a[0], b[0]), half(a[1], b[1]));
//% else
    return c64x4(half(a[0]), half(a[1]));
//% endif
//% elif family == "float" and op in of_float
    return {{ of_float[op] }};
//% elif family == "unsigned" and op in of_unsigned
    return {{ of_unsigned[op] }};
//% elif op in any_family
//% set wrapping = ("add", "subtract", "multiply", "square", "negative", "absolute") if family == "signed" else ()
//% set wraps = "  // as in NumPy, sanitize: allow overflow" if op in wrapping else ""
    return {{ any_family[op] }};{{ wraps }}
//% else
//% if count == 2
    return {{ op }}_of(a, b);
//% else
    return {{ op }}_of(a);
//% endif
//% endif
}
