// Quantised weights, expanded as they are read: `q_weight(q_row(k), n)` is a weight of row k, or four of
// neighbouring columns, in f32. The file that includes this one declares w, q_columns, q_depth and q_taps.
//
// Layout: blocks of {{ q_block }} weights in {{ q_bytes }} bytes run down the columns of the matrix, as files have them; but
// where a block has one factor alone, the factors stand behind a column's blocks, so that these are whole
// words. Each column is a run of bytes, padded to words; word i of all columns lie side by side, where four are
// read at once. Blocks that go on into the next column (flat) lie in one run, in the order of the file. Weights of a
// convolution run over the taps of a channel first, as in the file. The word behind a column's last one is
// its scale (fp8).
//
// Formulas: ggml's, with products that f32 holds exactly but for Q6_K, and one rounding at the end.
// Limits: 2^32 bytes.
//% if q_lanes == 4 and not q_flat
alias QU = vec4<u32>;
alias QI = vec4<i32>;
alias QF = vec4<f32>;
alias QW = vec4<u32>;
//% else
alias QU = u32;
alias QI = i32;
alias QF = f32;
alias QW = u32;
//% endif

//% if q_alone
//% if q_flat
fn q_blocks() -> u32 { return q_depth() * q_columns() / {{ q_block }}u; }
//% else
fn q_blocks() -> u32 { return q_depth() / {{ q_block }}u; }
//% endif

//% endif
// Word i of the bytes of column(s) n, and bytes and halves from there on. Halves are at even places.
//% if q_flat
fn q_word(i: u32, n: u32) -> QU { return w[i]; }
//% else
fn q_word(i: u32, n: u32) -> QU { return w[i * (q_columns() / {{ q_lanes }}u) + n]; }
//% endif

fn q_byte(at: u32, n: u32) -> QU { return (q_word(at >> 2u, n) >> QU(8u * (at & 3u))) & QU(255u); }

fn q_half(at: u32, n: u32) -> QU { return (q_word(at >> 2u, n) >> QU(8u * (at & 2u))) & QU(0xffffu); }

// An f16 by its bits. Subnormal ones, which scales of small weights often are, must not be flushed.
fn q_f16(half: QU) -> QF {
    let magnitude = half & QU(0x7fffu);
    let special = select(QU(), QU(0x38000000u), magnitude >= QU(0x7c00u));
    let normal = bitcast<QF>((magnitude << QU(13u)) + QU(0x38000000u) + special);
    let value = select(normal, QF(magnitude) * QF(5.9604644775390625e-8), magnitude < QU(0x400u));
    return select(value, -value, half >= QU(0x8000u));
}
//% if q_format in ("q8_0", "q6_k")

fn q_signed(byte: QU) -> QF { return QF(bitcast<QI>(byte << QU(24u)) >> QU(24u)); }
//% endif
//% if q_format in ("iq4_nl", "iq4_xs")

// The uneven steps of IQ4: bytes of four words.
fn q_uneven(q: QU) -> QF {
    let low = select(QU(0xbfad9881u), QU(0xf6eaddcfu), (q & QU(4u)) != QU());
    let high = select(QU(0x26190d01u), QU(0x71594535u), (q & QU(4u)) != QU());
    let four = select(low, high, (q & QU(8u)) != QU());
    return QF(bitcast<QI>((four >> (QU(8u) * (q & QU(3u)))) << QU(24u)) >> QU(24u));
}
//% endif
//% if q_format in ("q4_k", "q5_k")

// Scale and minimum of a group of 32, of six bits each.
struct QScale { scale: QF, minimum: QF }

fn q_scale(at: u32, g: u32, n: u32) -> QScale {
    let i = g & 3u;
    let a = q_byte(at + i, n);
    let b = q_byte(at + 4u + i, n);
    let c = q_byte(at + 8u + i, n);
    let scale = select(a & QU(63u), (c & QU(15u)) | ((a >> QU(6u)) << QU(4u)), g >= 4u);
    let minimum = select(b & QU(63u), (c >> QU(4u)) | ((b >> QU(6u)) << QU(4u)), g >= 4u);
    return QScale(QF(scale), QF(minimum));
}
//% endif

//% if q_alone

// The factor of block b, where it is the only one.
fn q_factor(b: u32, n: u32) -> QF { return q_f16(q_half(q_blocks() * {{ q_bytes }}u + 2u * b, n)); }
//% endif

// Weight j of block b of column(s) n.
fn q_value(b: u32, j: u32, n: u32) -> QF {
    let at = b * {{ q_bytes }}u;
//% if q_format == "q8_0"
    return q_factor(b, n) * q_signed(q_byte(at + j, n));
//% elif q_format in ("q4_0", "iq4_nl")
    let q = (q_byte(at + (j & 15u), n) >> QU((j >> 4u) << 2u)) & QU(15u);
//% if q_format == "q4_0"
    return q_factor(b, n) * (QF(q) - QF(8.0));
//% else
    return q_factor(b, n) * q_uneven(q);
//% endif
//% elif q_format == "q4_1"
    let q = (q_byte(at + 4u + (j & 15u), n) >> QU((j >> 4u) << 2u)) & QU(15u);
    return q_f16(q_half(at, n)) * QF(q) + q_f16(q_half(at + 2u, n));
//% elif q_format in ("q5_0", "q5_1")
//% set first = 0 if q_format == "q5_0" else 4
    let low = (q_byte(at + {{ first + 4 }}u + (j & 15u), n) >> QU((j >> 4u) << 2u)) & QU(15u);
    let high = (q_byte(at + {{ first }}u + (j >> 3u), n) >> QU(j & 7u)) & QU(1u);
    let q = QF(low | (high << QU(4u)));
//% if q_format == "q5_0"
    return q_factor(b, n) * (q - QF(16.0));
//% else
    return q_f16(q_half(at, n)) * q + q_f16(q_half(at + 2u, n));
//% endif
//% elif q_format == "q2_k"
    let scales = q_byte(at + (j >> 4u), n);
    let q = (q_byte(at + 16u + ((j >> 7u) << 5u) + (j & 31u), n) >> QU(((j >> 5u) & 3u) << 1u)) & QU(3u);
    let scale = q_f16(q_half(at + 80u, n)) * QF(scales & QU(15u));
    return scale * QF(q) - q_f16(q_half(at + 82u, n)) * QF(scales >> QU(4u));
//% elif q_format == "q3_k"
    let g = j >> 4u;
    let low = (q_byte(at + 96u + (g & 7u), n) >> QU((g >> 3u) << 2u)) & QU(15u);
    let high = (q_byte(at + 104u + (g & 3u), n) >> QU((g >> 2u) << 1u)) & QU(3u);
    let scale = q_factor(b, n) * (QF(low | (high << QU(4u))) - QF(32.0));
    let two = (q_byte(at + 32u + ((j >> 7u) << 5u) + (j & 31u), n) >> QU(((j >> 5u) & 3u) << 1u)) & QU(3u);
    let third = (q_byte(at + (j & 31u), n) >> QU(j >> 5u)) & QU(1u);
    return scale * (QF(two | (third << QU(2u))) - QF(4.0));
//% elif q_format == "q4_k"
    let s = q_scale(at + 4u, j >> 5u, n);
    let q = (q_byte(at + 16u + ((j >> 6u) << 5u) + (j & 31u), n) >> QU(((j >> 5u) & 1u) << 2u)) & QU(15u);
    return q_f16(q_half(at, n)) * s.scale * QF(q) - q_f16(q_half(at + 2u, n)) * s.minimum;
//% elif q_format == "q5_k"
    let s = q_scale(at + 4u, j >> 5u, n);
    let low = (q_byte(at + 48u + ((j >> 6u) << 5u) + (j & 31u), n) >> QU(((j >> 5u) & 1u) << 2u)) & QU(15u);
    let high = (q_byte(at + 16u + (j & 31u), n) >> QU(j >> 5u)) & QU(1u);
    let q = QF(low | (high << QU(4u)));
    return q_f16(q_half(at, n)) * s.scale * q - q_f16(q_half(at + 2u, n)) * s.minimum;
//% elif q_format == "q6_k"
    let r = (j >> 5u) & 3u;
    let low = (q_byte(at + ((j >> 7u) << 6u) + (j & 31u) + ((r & 1u) << 5u), n) >> QU((r >> 1u) << 2u)) & QU(15u);
    let high = (q_byte(at + 128u + ((j >> 7u) << 5u) + (j & 31u), n) >> QU(r << 1u)) & QU(3u);
    let scale = q_factor(b, n) * q_signed(q_byte(at + 192u + (j >> 4u), n));
    return scale * (QF(low | (high << QU(4u))) - QF(32.0));
//% elif q_format == "iq4_xs"
    let g = j >> 5u;
    let low = (q_byte(at + 4u + (g >> 1u), n) >> QU((g & 1u) << 2u)) & QU(15u);
    let high = (q_half(at + 2u, n) >> QU(g << 1u)) & QU(3u);
    let scale = q_f16(q_half(at, n)) * (QF(low | (high << QU(4u))) - QF(32.0));
    let q = (q_byte(at + 8u + (g << 4u) + (j & 15u), n) >> QU(((j >> 4u) & 1u) << 2u)) & QU(15u);
    return scale * q_uneven(q);
//% elif q_format == "fp8_e5m2"
    return q_f16(q_byte(at, n) << QU(8u)) * bitcast<QF>(q_word((q_depth() + 3u) / 4u, n));
//% elif q_format == "fp8_e4m3fn"
    let byte = q_byte(at, n);
    let magnitude = byte & QU(127u);
    let bits = (magnitude << QU(20u)) + QU(0x3c000000u);
    let normal = bitcast<QF>(select(bits, QU(0x7fc00000u), magnitude == QU(127u)));
    let value = select(normal, QF(magnitude) * QF(0.001953125), magnitude < QU(8u));
    return select(value, -value, byte >= QU(128u)) * bitcast<QF>(q_word((q_depth() + 3u) / 4u, n));
//% endif
}

// The place of a row of the matrix in the order of the file, where a convolution's taps follow each other; and
// the row at a place.
//% if q_conv
fn q_row(k: u32) -> u32 {
    let channels = q_depth() / q_taps();
    return k % channels * q_taps() + k / channels;
}

fn k_of(row: u32) -> u32 { return row % q_taps() * (q_depth() / q_taps()) + row / q_taps(); }
//% else
fn q_row(k: u32) -> u32 { return k; }

fn k_of(row: u32) -> u32 { return row; }
//% endif
//% if q_flat

fn q_element(row: u32, column: u32) -> f32 {
    let at = column * q_depth() + row;
    return q_value(at / {{ q_block }}u, at % {{ q_block }}u, 0u);
}
//% endif

// Weight(s) of a row of the file's order, and of column(s) n.
//% if q_lanes == 4 and q_flat
fn q_weight(row: u32, n: u32) -> vec4<f32> {
    let c = 4u * n;
    let low = vec2<f32>(q_element(row, c), q_element(row, c + 1u));
    return vec4<f32>(low, q_element(row, c + 2u), q_element(row, c + 3u));
}

//% elif q_flat
fn q_weight(row: u32, n: u32) -> f32 { return q_element(row, n); }

//% else
fn q_weight(row: u32, n: u32) -> QF { return q_value(row / {{ q_block }}u, row % {{ q_block }}u, n); }

//% endif
