// Results of a workgroup with matrix units leave it: from accumulators c, of the subgroup at (wm, wn) of
// block (m0, block), to memory.
//% if update is defined
//% include "matmul/gemm/matrix_update.wgsl"
//% endif
//% macro stage_rows(i)
    workgroupBarrier();
//% for j in range(fn)
    subgroupMatrixStore<row_major>(&tile, subgroup * {{ 16 * ep }}u + {{ 4 * j }}u, c{{ i }}_{{ j }}, EP);
//% endfor
//% endmacro
//% if direct
    // Rows and columns of partials are padded to whole tiles.
//% if split
    let pitch = tiles_n * (BN / 4u);
//% else
    let pitch = params.n / 4u;
//% endif
//% if split
    let above = part * tiles_m * BM;
//% elif batched
    let above = batch * params.m;
//% else
    let above = 0u;
//% endif
    let to = (above + m0 + wm) * pitch + block * (BN / 4u) + wn / 4u;
//% for i in range(fm)
//% for j in range(fn)
//% if split
    subgroupMatrixStore<row_major>(&partials, to + {{ 16 * i }}u * pitch + {{ 4 * j }}u, c{{ i }}_{{ j }}, pitch);
//% else
    subgroupMatrixStore<row_major>(&y, to + {{ 16 * i }}u * pitch + {{ 4 * j }}u, c{{ i }}_{{ j }}, pitch);
//% endif
//% endfor
//% endfor
//% elif wide
    // A lane makes words of eight results, all in the same columns. What is added from memory is on
    // its way before the results are in workgroup memory.
//% set across = wn // 8
//% set down = 32 * teams // across
//% set turns = (16 + down - 1) // down
    let own = member * {{ 16 * ep }}u;
    let worker = team * 32u + lane;
    let j = worker % {{ across }}u;
    let r = worker / {{ across }}u;
//% if exact
    let column = chunk_column(block, wn / 8u + j);
    let mine = worker < {{ across * down }}u;
//% else
    let found = chunk_column(block, wn / 8u + j);
    let column = select(found, 0u, found == NONE);
    let mine = found != NONE && worker < {{ across * down }}u;
//% endif
//% if bias
    let offset = Pair(bias[2u * column], bias[2u * column + 1u]);
//% endif
//% for i in range(fm)
{{ stage_rows(i) }}
//% for q in range(turns)
//% set id = i ~ "_" ~ q
    let m{{ id }} = m0 + wm + r + {{ 16 * i + q * down }}u;
    let inside{{ id }} = mine{{ " && r < %du" % (16 - q * down) if (q + 1) * down > 16 }}{{ " && m%s < params.m" % id if not whole }};
    let at{{ id }} = place(m{{ id }}, column, params.n / 8u);
//% if residual
    var residual{{ id }} = f16x8();
    if (inside{{ id }}) { residual{{ id }} = residual[at{{ id }}]; }
//% endif
//% if per_image
    var image{{ id }} = Pair();
    if (inside{{ id }}) { image{{ id }} = image_pair(image_of(m{{ id }}), column); }
//% endif
//% endfor
    workgroupBarrier();
//% for q in range(turns)
//% set id = i ~ "_" ~ q
    if (inside{{ id }}) {
        var value = staged(own + (r + {{ q * down }}u) * EP + 2u * j);
//% if bias
        value = added(value, offset);
//% endif
//% if per_image
        value = added(value, image{{ id }});
//% endif
//% if activation != "none"
        value = Pair(activate(value.low), activate(value.high));
//% endif
//% if residual
        value = added(value, widened(residual{{ id }}));
//% endif
//% if out == "f16"
        y[at{{ id }}] = narrowed(value);
//% else
        y[2u * at{{ id }}] = value.low;
        y[2u * at{{ id }} + 1u] = value.high;
//% endif
    }
//% endfor
//% endfor
//% else
    // A value and its gate lie half a subgroup's columns apart.
    let own = member * {{ 16 * ep }}u;
    let n4 = params.n / 4u;
//% for i in range(fm)
{{ stage_rows(i) }}
    workgroupBarrier();
    for (var e = team * 32u + lane; e < {{ 2 * wn }}u; e += {{ 32 * teams }}u) {
        let r = e / {{ wn // 8 }}u;
        let j = e % {{ wn // 8 }}u;
        let m = m0 + wm + {{ 16 * i }}u + r;
        let n8 = chunk_column(block, wn / 8u + j / 2u);
        if (m < params.m && n8 != NONE) {
            let n = n8 * 2u + j % 2u;
            let value = sum_of_teams(own + r * EP + j);
            let gate = sum_of_teams(own + r * EP + j + {{ wn // 8 }}u);
            let opened = activate(biased(gate, m, n + n4, 2u * n4));
            store(biased(value, m, n, 2u * n4) * opened, m, n, n4);
        }
    }
//% endfor
//% endif
