// The loop of matrix.wgsl that runs ahead, with two barriers a step; a part of its body.
//
// Scores are f16, relative to the greatest that a row has among the first keys: the product begins with
// it, negated, so that scores which count are near 0, where f16 is exact. Nothing is ever raised. Scores
// of two blocks lie side by side, so that those of the next are made while this one is multiplied with V.
// The next blocks of K and V are stored last in a step: their loads have all of it.
//% if lean
// They have not where the compiler moves them to their stores, past the loop's way out, as it does here:
// fewer registers, so that one more workgroup fits.
//% endif
// Where weights grow beyond 2^8 on average, or the first keys already have scores beyond LARGE or LONG,
// or the scale is below SMALL or negative, all is made anew by the loop with scores in f32; the votes are
// looked at every 8 steps. A product of Q and K that falls below -65504 on its way gets no weight.
//% if lanes == 2 and blocks == 2
// Layout: as there; a row of `scores` holds both blocks, the other one 2 words further.
//% else
// Layout: as there; a row of `scores` holds both blocks, the other one {{ keys // 8 }} words further.
//% endif
// Limits: as there.
//% set half = 2 if lanes == 2 and blocks == 2 else keys // 8
//% set all = range(blocks) | list
//% macro store_ahead(at)
//% for n in all
//% for i in range(fq)
        subgroupMatrixStore<row_major>(&scores, slice + {{ 16 * i }}u * SP + {{ stride * n }}u{{ at }}, h{{ i }}_{{ n }}, SP);
//% endfor
//% endfor
//% endmacro
//% macro own_scores(at)
//% for w in range(quads // 2)
        let a{{ w }} = scores[mine{{ at }} + side * {{ apart }}u + {{ w }}u];
//% endfor
//% endmacro
//% macro greatest(name, of)
        {
            var most = {{ of }}0;
//% for w in range(1, quads)
            most = max(most, {{ of }}{{ w }});
//% endfor
            {{ name }} = max(max(most.x, most.y), max(most.z, most.w));
//% if lanes == 2
            {{ name }} = max({{ name }}, subgroupShuffleXor({{ name }}, 1u));
//% endif
        }
//% endmacro
    var bad = false;
    var again = false;
//% if masked
    // What is added to a score beyond its mask.
    var offset = 0.0;
//% endif
//% if lean
{{ fetch("k", "KEYS") }}
{{ fetch("v", "0u") }}
//% endif
{{ fetch_mask("0u") }}
    {
{{ score("h", "subgroup_matrix_result<f16, 16, 16>()", all, "") }}
{{ store_ahead("") }}
        workgroupBarrier();
{{ own_scores("") }}
//% for w in range(quads // 2)
        var p{{ 2 * w }} = floats(a{{ w }}.xy);
        var p{{ 2 * w + 1 }} = floats(a{{ w }}.zw);
//% endfor
{{ hide("p", "MASKED", "") }}
//% if masked
//% for w in range(quads)
        let added{{ w }} = {{ added(w) }};
        p{{ w }} = select(vec4<f32>(MASKED), p{{ w }}, added{{ w }} > vec4<f32>(MASKED));
        let whole{{ w }} = select(vec4<f32>(MASKED), fma(p{{ w }}, vec4<f32>(params.scale), added{{ w }}), p{{ w }} > vec4<f32>(MASKED));
//% endfor
{{ greatest("offset", "whole") }}
//% endif
{{ greatest("high", "p") }}
//% if masked
        // Nothing is known of a row that sees none of them.
        if (high <= MASKED) {
            high = 0.0;
            offset = 0.0;
        }
        offset = fma(high, params.scale, -offset);
//% endif
        bad = !(params.scale >= SMALL && abs(high) < 32768.0 && abs(high) * params.scale < LARGE && reach < LONG);
        for (var w = side; w < 2u; w += {{ lanes }}u) {
            scores[mine + {{ half }}u + w] = vec4<u32>(pack2x16float(vec2<f32>(-high)));
        }
    }
    workgroupBarrier();
//% for i in range(fq)
    let m{{ i }} = subgroupMatrixLoad<subgroup_matrix_result<f16, 16, 16>, row_major>(&scores, slice + {{ 16 * i }}u * SP + {{ half }}u, SP);
//% endfor
    {
{{ score("h", "m%d", all) }}
{{ store_ahead("") }}
    }
    var at = 0u;
//% if lean
    while (j < end && !again) {
//% else
    loop {
//% endif
        // From here on nobody reads K of this block, nor V of the last.
        workgroupBarrier();
{{ own_scores(" + at") }}
//% for w in range(quads // 2)
//% for part in ("xy", "zw")
//% set x = "floats(a%d.%s)" % (w, part)
//% if masked
        var p{{ 2 * w + loop.index0 }} = exp2(fma({{ x }}, vec4<f32>(params.scale), {{ added(2 * w + loop.index0) }} + offset));
//% else
        var p{{ 2 * w + loop.index0 }} = exp2({{ x }} * params.scale);
//% endif
//% endfor
//% endfor
{{ hide("p", "") }}
{{ pack(" + at") }}
{{ put_both() }}
//% if spare and not masked
{{ sum_in_f16() }}
        let sum = dot(vec4<f32>(sums), vec4<f32>(1.0));
//% else
        total += sum;
//% endif
        // Not where it is infinite or NaN, either.
        bad = bad || !(sum <= {{ 256 * 4 * quads }}.0);
        let next = j + KEYS;
        if (next >= end || j / KEYS % 8u == 0u) {
//% if masked
//% if lanes == 2
            let of_row = total + subgroupShuffleXor(total, 1u);
//% else
            let of_row = total;
//% endif
            bad = bad || (next >= end && !(of_row >= LEAST));
//% endif
            if (bad) { votes[0].exact = 1u; }
            again = workgroupUniformLoad(&votes[0]).exact != 0u;
        } else {
            workgroupBarrier();
        }
        j = next;
//% if not lean
        // In front of the loads: the compiler moves loads past a way out, to their stores.
        if (j >= end || again) { break; }
//% endif
{{ fetch("k", "j + KEYS") }}
{{ fetch("v", "j") }}
{{ fetch_mask("j") }}
{{ mix(" + at") }}
{{ score("h", "m%d", all) }}
        at = {{ half }}u - at;
{{ store_ahead(" + at") }}
    }
//% if not lean
    if (!again) {
{{ mix(" + at") }}
    }
//% endif
    if (again) {
        workgroupBarrier();
{{ fetch("k", "0u") }}
{{ put("k", "", "KP") }}
        if (t == 0u) { votes[0] = Votes(); }
//% for f in range(frags)
//% for i in range(fq)
        o{{ i }}_{{ f }} = subgroup_matrix_result<f32, 16, 16>();
//% endfor
//% endfor
        high = MASKED;
        total = 0.0;
        j = 0u;
        workgroupBarrier();
    }
