// The wide half of a low-rank update, added to accumulators c: more of K behind the weights' own.
//
// Operands come right from memory, as in matmul/low_rank/up_matrix.wgsl. One team does it, for one part
// of K. Where an image has no whole rows of tiles, or a group no whole columns, each 16 rows look their
// slot up, and each 16 columns their group.
//
// Memory: ranks (rows, groups * ranks), the narrow half; up (slots, ranks, columns); chosen: as in
// matmul/low_rank/up_matrix.wgsl.
// Limits: rows of an image, ranks, and columns of a group multiples of 16; with GEGLU, wn of 32.
//% set one_image = up_rows % bm == 0
//% set one_group = up_groups == 1 or up_columns % bn == 0
//% set narrow = up_ranks // 8
//% macro left(i, j)
subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>, row_major>(&ranks, up_row{{ i }} * {{ up_groups * narrow }}u + up_group{{ j }} * {{ narrow }}u + step * 2u, {{ up_groups * narrow }}u)
//%- endmacro
//% set first = "team == 0u && group.z == 0u" if split else "team == 0u"
    if ({{ first }}) {
//% for j in range(fn)
        let up_column{{ j }} = min(chunk_column(block, wn / 8u + {{ 2 * j }}u), columns8 - 2u);
//% if up_groups == 1
        let up_group{{ j }} = 0u;
//% else
        let up_group{{ j }} = up_column{{ j }} / {{ up_columns // 8 }}u;
//% endif
//% endfor
//% for i in range(fm)
        let up_row{{ i }} = min(m0 + wm + {{ 16 * i }}u, params.m - 16u);
//% endfor
//% for block in ([range(fm)] if one_image else range(fm) | batch(1))
        {
            let slot = chosen[up_row{{ block[0] }} / {{ up_rows }}u];
            if (slot != NONE) {
                for (var step = 0u; step < {{ up_ranks // 16 }}u; step++) {
                    let from_up = (slot * {{ up_ranks }}u + step * 16u) * columns8;
//% if one_group
//% for i in block
                    let a{{ i }} = {{ left(i, 0) }};
//% endfor
//% endif
//% for j in range(fn)
                    let b{{ j }} = subgroupMatrixLoad<subgroup_matrix_right<f16, 16, 16>, row_major>(&up, from_up + up_column{{ j }}, columns8);
//% for i in block
//% if one_group
                    c{{ i }}_{{ j }} = subgroupMatrixMultiplyAccumulate(a{{ i }}, b{{ j }}, c{{ i }}_{{ j }});
//% else
                    let a{{ i }}_{{ j }} = {{ left(i, j) }};
                    c{{ i }}_{{ j }} = subgroupMatrixMultiplyAccumulate(a{{ i }}_{{ j }}, b{{ j }}, c{{ i }}_{{ j }});
//% endif
//% endfor
//% endfor
                }
            }
        }
//% endfor
    }
