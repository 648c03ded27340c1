// Keys of numbers: u32 that stand in the order of the numbers, NaN behind all others. A float's bits
// count upwards from 0, and downwards below it: those of negative numbers are inverted. Reversed keys
// stand in the falling order of the numbers, NaN behind all others there too.
//% macro of(family, V, U, zeros, suffix="")
fn key_of{{ suffix }}(v: {{ V }}) -> {{ U }} {
//% if family == "float"
//% if zeros
    let plain = bitcast<{{ U }}>(v);
    let b = select(plain, {{ U }}(0u), plain == {{ U }}(0x80000000u));
//% else
    let b = bitcast<{{ U }}>(v);
//% endif
    let key = select(b | {{ U }}(0x80000000u), ~b, b >= {{ U }}(0x80000000u));
    let nan = (b & {{ U }}(0x7fffffffu)) > {{ U }}(0x7f800000u);
    return select(key, {{ U }}(0xffffffffu), nan);
//% elif family == "signed"
    return bitcast<{{ U }}>(v) ^ {{ U }}(0x80000000u);
//% else
    return {{ U }}(v);
//% endif
}

fn reversed_key{{ suffix }}(key: {{ U }}) -> {{ U }} {
//% if family == "float"
    return select(~key, key, key == {{ U }}(0xffffffffu));
//% else
    return ~key;
//% endif
}

fn number_of{{ suffix }}(key: {{ U }}) -> {{ V }} {
//% if family == "float"
    var bits = select(~key, key & {{ U }}(0x7fffffffu), key >= {{ U }}(0x80000000u));
    return bitcast<{{ V }}>(bits);
//% elif family == "signed"
    return bitcast<{{ V }}>(key ^ {{ U }}(0x80000000u));
//% else
    return {{ V }}(key);
//% endif
}
//% endmacro
