// The end of matrix.wgsl: results, divided by the sums of their weights; a part of its body.
//
// They pass through `scores` in pieces, to be written in words of 16 bytes. Teams have seen different keys
// of the same rows: what each made is multiplied by a power of two for the maximum that its weights refer
// to, and added up in the order of teams.
// Layout: as there; a row's maximum and sum of each team lie in `tiles`, where K lay.
// Limits: as there.
//% if lanes == 2 and not spare
    total += subgroupShuffleXor(total, 1u);
//% endif
    let out = (place.z * params.sq + row) * params.heads * WORDS + place.y * WORDS;
//% if teams > 1
    // What each team's weights refer to, and their sum, where K lay.
    let ours = {{ member }} * (ROWS * SP) + own * SP;
    workgroupBarrier();
    if (side == 0u) { tiles[subgroup * ROWS + own] = vec4<u32>(bitcast<u32>(high), bitcast<u32>(total), 0u, 0u); }
//% endif
    // The last piece first: it may hold the sums of the weights.
//% for start in range(0, frags, at_once) | reverse
//% set here = [at_once, frags - start] | min
    workgroupBarrier();
//% for f in range(here)
//% for i in range(fq)
    subgroupMatrixStore<row_major>(&scores, slice + {{ 16 * i }}u * SP + {{ 4 * f }}u, o{{ i }}_{{ start + f }}, SP);
//% endfor
//% endfor
    workgroupBarrier();
//% if loop.first
//% if teams == 1
//% if spare
    total = bitcast<vec4<f32>>(scores[mine + {{ 4 * here - 2 }}u]).x;
//% endif
//% if mask is not defined
    let weight0 = 1.0 / total;
//% else
    let weight0 = select(1.0 / total, 0.0, total == 0.0);
//% endif
//% else
    total = 0.0;
//% for i in range(teams)
    let of{{ i }} = bitcast<vec2<f32>>(tiles[{{ i }}u * BQ + {{ member }} * ROWS + own].xy);
    high = max(high, of{{ i }}.x);
//% endfor
//% for i in range(teams)
    var weight{{ i }} = exp2((of{{ i }}.x - high) * {{ scale }});
//% if spare
    total += weight{{ i }} * bitcast<vec4<f32>>(scores[ours + {{ i }}u * BQ * SP + {{ 4 * here - 2 }}u]).x;
//% else
    total += weight{{ i }} * of{{ i }}.y;
//% endif
//% endfor
//% if mask is not defined
    let weight = 1.0 / total;
//% else
    let weight = select(1.0 / total, 0.0, total == 0.0);
//% endif
//% for i in range(teams)
    weight{{ i }} *= weight;
//% endfor
//% endif
//% endif
    if (row < params.sq) {
//% if teams == 1
        for (var w = side; w < {{ [2 * here, words - 2 * start] | min }}u; w += {{ lanes }}u) {
            let a = bitcast<vec4<f32>>(scores[mine + 2u * w]) * weight0;
            let b = bitcast<vec4<f32>>(scores[mine + 2u * w + 1u]) * weight0;
//% else
        for (var w = team * {{ lanes }}u + side; w < {{ [2 * here, words - 2 * start] | min }}u; w += {{ lanes * teams }}u) {
            var a = vec4<f32>();
            var b = vec4<f32>();
//% for i in range(teams)
            a += bitcast<vec4<f32>>(scores[ours + {{ i }}u * BQ * SP + 2u * w]) * weight{{ i }};
            b += bitcast<vec4<f32>>(scores[ours + {{ i }}u * BQ * SP + 2u * w + 1u]) * weight{{ i }};
//% endfor
//% endif
            y[out + {{ 2 * start }}u + w] = halves(a, b);
        }
    }
//% endfor
