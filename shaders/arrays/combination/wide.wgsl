// Words of {{ width }} element(s) of storage scalar {{ scalar }}, up to 16 bytes, as a lane loads them at once.
//% if width == 8
// A word W is computed with as 2 part(s) F of f32: `part0(w)` and so on, `packed(...)` back again.
//% else
// A word W is computed with as 1 part(s) F of f32: `part0(w)` and so on, `packed(...)` back again.
//% endif
//
// Memory: eight f16 are a vec4<u32>, two in each 32 bits.
//% if scalar == "f16"
enable f16;
//% endif

//% if width == 8
alias f16x8 = vec4<u32>;
alias W = f16x8;
alias F = vec4<f32>;

fn part0(w: W) -> F { return F(unpack2x16float(w.x), unpack2x16float(w.y)); }
fn part1(w: W) -> F { return F(unpack2x16float(w.z), unpack2x16float(w.w)); }

fn packed(a: F, b: F) -> W {
    return W(
        pack2x16float(a.xy), pack2x16float(a.zw), pack2x16float(b.xy), pack2x16float(b.zw),
    );
}
//% else
//% if width == 1
alias W = {{ scalar }};
alias F = f32;
//% else
alias W = vec{{ width }}<{{ scalar }}>;
alias F = vec{{ width }}<f32>;
//% endif

fn part0(w: W) -> F { return F(w); }

fn packed(a: F) -> W { return W(a); }
//% endif

//% if width == 1
fn total(v: F) -> f32 { return v; }
fn square(v: F) -> f32 { return v * v; }
fn first_of(v: F) -> f32 { return v; }
//% else
//% if width == 2
fn total(v: F) -> f32 { return v.x + v.y; }
//% else
fn total(v: F) -> f32 { return (v.x + v.y) + (v.z + v.w); }
//% endif
fn square(v: F) -> f32 { return dot(v, v); }
fn first_of(v: F) -> f32 { return v.x; }
//% endif
