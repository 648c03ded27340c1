// Discrete Fourier transforms of up to 32 complex numbers (no factor above 13) in variables, as macros:
// `butterfly(names)` replaces their values, in natural order, by sum_j v_j exp(-2 pi i j k / R).
//
// 2 and 4 are written out. An odd prime takes the sums and differences of opposite elements, which
// need real products only: (R - 1)^2 / 2 of them. 8, 9, 16, 25, 27 and 32 are split by Cooley and
// Tukey's rule with constant roots between the halves, others by Good's, whose factors have no divisor
// in common and need none. Constants are rounded from float64.

//% set COS = {
    3: [1.0, -0.5],
    5: [1.0, 0.3090169944, -0.8090169944],
    7: [1.0, 0.6234898019, -0.222520934, -0.9009688679],
    11: [1.0, 0.8412535328, 0.415415013, -0.1423148383, -0.6548607339, -0.9594929736],
    13: [1.0, 0.8854560257, 0.5680647467, 0.1205366803, -0.354604887, -0.7485107482, -0.9709418174]
}
//% set SIN = {
    3: [0.0, 0.8660254038],
    5: [0.0, 0.9510565163, 0.5877852523],
    7: [0.0, 0.7818314825, 0.9749279122, 0.4338837391],
    11: [0.0, 0.5406408175, 0.9096319954, 0.9898214419, 0.7557495744, 0.2817325568],
    13: [0.0, 0.464723172, 0.8229838659, 0.9927088741, 0.9350162427, 0.6631226582, 0.2393156643]
}
//% set SPLIT = {8: (4, 2), 9: (3, 3), 16: (4, 4), 25: (5, 5), 27: (9, 3), 32: (8, 4)}
//% set ROOTS = {
    8: {1: "0.7071067812, -0.7071067812", 3: "-0.7071067812, -0.7071067812"},
    9: {
        1: "0.7660444431, -0.6427876097",
        2: "0.1736481777, -0.984807753",
        4: "-0.9396926208, -0.3420201433"
    },
    16: {
        1: "0.9238795325, -0.3826834324",
        2: "0.7071067812, -0.7071067812",
        3: "0.3826834324, -0.9238795325",
        6: "-0.7071067812, -0.7071067812",
        9: "-0.9238795325, 0.3826834324"
    },
    25: {
        1: "0.9685831611, -0.2486898872",
        2: "0.87630668, -0.4817536741",
        3: "0.7289686274, -0.6845471059",
        4: "0.535826795, -0.8443279255",
        6: "0.0627905195, -0.9980267284",
        8: "-0.4257792916, -0.9048270525",
        9: "-0.6374239897, -0.7705132428",
        12: "-0.9921147013, -0.1253332336",
        16: "-0.6374239897, 0.7705132428"
    },
    27: {
        1: "0.9730448706, -0.2306158707",
        2: "0.8936326403, -0.4487991802",
        3: "0.7660444431, -0.6427876097",
        4: "0.5971585917, -0.8021231928",
        5: "0.396079766, -0.9182161069",
        6: "0.1736481777, -0.984807753",
        7: "-0.0581448289, -0.9983081583",
        8: "-0.2868032327, -0.9579895123",
        10: "-0.6862416379, -0.7273736416",
        12: "-0.9396926208, -0.3420201433",
        14: "-0.9932383577, 0.1160929141",
        16: "-0.8354878114, 0.5495089781"
    },
    32: {
        1: "0.9807852804, -0.195090322",
        2: "0.9238795325, -0.3826834324",
        3: "0.8314696123, -0.555570233",
        4: "0.7071067812, -0.7071067812",
        5: "0.555570233, -0.8314696123",
        6: "0.3826834324, -0.9238795325",
        7: "0.195090322, -0.9807852804",
        9: "-0.195090322, -0.9807852804",
        10: "-0.3826834324, -0.9238795325",
        12: "-0.7071067812, -0.7071067812",
        14: "-0.9238795325, -0.3826834324",
        15: "-0.9807852804, -0.195090322",
        18: "-0.9238795325, 0.3826834324",
        21: "-0.555570233, 0.8314696123"
    }
}
//% set COPRIME = {
    6: (3, 2), 10: (5, 2), 12: (3, 4), 14: (7, 2), 15: (5, 3), 18: (9, 2), 20: (5, 4), 21: (7, 3),
    22: (11, 2), 24: (8, 3), 26: (13, 2), 28: (7, 4), 30: (15, 2)
}

//% macro functions()
// a b of complex numbers.
fn times(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
    return vec2<f32>(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
}

// -i v: a quarter of a turn.
fn turned(v: vec2<f32>) -> vec2<f32> { return vec2<f32>(v.y, -v.x); }
//% endmacro

//% macro two(v)
    { let d = {{ v[0] }} - {{ v[1] }}; {{ v[0] }} += {{ v[1] }}; {{ v[1] }} = d; }
//% endmacro

//% macro four(v)
    {
        let a = {{ v[0] }} + {{ v[2] }};
        let b = {{ v[0] }} - {{ v[2] }};
        let c = {{ v[1] }} + {{ v[3] }};
        let d = turned({{ v[1] }} - {{ v[3] }});
        {{ v[0] }} = a + c;
        {{ v[1] }} = b + d;
        {{ v[2] }} = a - c;
        {{ v[3] }} = b - d;
    }
//% endmacro

//% macro prime(v)
//% set R = v | length
//% set half = R // 2
    {
//% for j in range(1, half + 1)
        let s{{ j }} = {{ v[j] }} + {{ v[R - j] }};
        let d{{ j }} = {{ v[j] }} - {{ v[R - j] }};
//% endfor
        let first = {{ v[0] }};
        {{ v[0] }} = first{% for j in range(1, half + 1) %} + s{{ j }}{% endfor %};
//% for k in range(1, half + 1)
        {
            let even = first
//%- for j in range(1, half + 1)
//% set m = j * k % R
                + ({{ COS[R][m if m <= half else R - m] }}) * s{{ j }}
//%- endfor
                ;
            let odd = turned(
//%- for j in range(1, half + 1)
//% set m = j * k % R
                {{ "+ " if j > 1 else "" }}({{ SIN[R][m] if m <= half else -SIN[R][R - m] }}) * d{{ j }}
//%- endfor
                );
            {{ v[k] }} = even + odd;
            {{ v[R - k] }} = even - odd;
        }
//% endfor
    }
//% endmacro

//% macro split(v)
//% set R = v | length
//% set A, B = SPLIT[R]
//% for b in range(B)
{{ butterfly(v[b::B]) }}
//%- for a in range(1, A)
//% if a * b in ROOTS[R]
    {{ v[b + B * a] }} = times({{ v[b + B * a] }}, vec2<f32>({{ ROOTS[R][a * b] }}));
//% elif a * b
    {{ v[b + B * a] }} = turned({{ v[b + B * a] }});
//% endif
//% endfor
//% endfor
//% for a in range(A)
{{ butterfly(v[B * a : B * a + B]) }}
//%- endfor
    {
//% for i in range(R)
        let p{{ i }} = {{ v[i] }};
//% endfor
//% for a in range(A)
//% for b in range(B)
        {{ v[a + A * b] }} = p{{ B * a + b }};
//% endfor
//% endfor
    }
//% endmacro

//% macro coprime(v)
//% set R = v | length
//% set A, B = COPRIME[R]
//% set own = namespace(names=[], unit_a=0)
//% for unit in range(0, R, B) if unit % A == 1
//% set own.unit_a = unit
//% endfor
//% for i in range(R)
//% set own.names = own.names + ["g%d_%d" % (R, i)]
//% endfor
//% set G = own.names
    {
//% for a in range(A)
//% for b in range(B)
        var {{ G[B * a + b] }} = {{ v[(B * a + A * b) % R] }};
//% endfor
//% endfor
//% for b in range(B)
{{ butterfly(G[b:R:B]) }}
//%- endfor
//% for a in range(A)
{{ butterfly(G[B * a : B * a + B]) }}
//%- endfor
//% for a in range(A)
//% for b in range(B)
        {{ v[(own.unit_a * a + (R + 1 - own.unit_a) * b) % R] }} = {{ G[B * a + b] }};
//% endfor
//% endfor
    }
//% endmacro

//% macro butterfly(v)
//% set R = v | length
//% if R == 2
{{ two(v) }}
//% elif R == 4
{{ four(v) }}
//% elif R in SPLIT
{{ split(v) }}
//% elif R in COPRIME
{{ coprime(v) }}
//% elif R > 1
{{ prime(v) }}
//% endif
//%- endmacro

//% macro roots(name, table, levels)
//% if levels == 1
// exp(-2 pi i n / N), from a table of it.
//% else
// exp(-2 pi i n / N), from a table of n < 4096 and one of multiples of 4096.
//% endif
fn {{ name }}(n: u32) -> vec2<f32> {
//% if levels == 1
    return {{ table }}[n];
//% else
    return times({{ table }}[n & 4095u], {{ table }}[4096u + (n >> 12u)]);
//% endif
}
//% endmacro
