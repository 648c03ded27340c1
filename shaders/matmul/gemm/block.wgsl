// Which block of results a workgroup makes: rows from m0 on, and the columns of number `block`; none past the
// last one.
//% if batched
    batch = group.z;
//% endif
    // Groups of tile rows walk over the columns together, so that weights stay in the cache.
    let index = group.x + group.y * 65535u;
    let tiles_m = (params.m + BM - 1u) / BM;
//% if activation == "geglu"
    let out_width = BN / 2u;
//% else
    let out_width = BN;
//% endif
    let tiles_n = (params.n + out_width - 1u) / out_width;
    if (index >= tiles_m * tiles_n) { return; }
    let first_row = index / (ROW_GROUP * tiles_n) * ROW_GROUP;
    let high = min(ROW_GROUP, tiles_m - first_row);
    let inner = index % (ROW_GROUP * tiles_n);
    let m0 = (first_row + inner % high) * BM;
    let block = inner / high;
