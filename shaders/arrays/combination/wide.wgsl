// Words of {{ width }} element(s) of storage scalar {{ scalar }}, up to 16 bytes, as a lane loads them at once.
// A word W is computed with as {{ 2 if width == 8 else 1 }} part(s) F of f32: `part0(w)` and so on, `packed(...)` back again.
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
alias W = {{ scalar if width == 1 else "vec%d<%s>" % (width, scalar) }};
alias F = {{ "f32" if width == 1 else "vec%d<f32>" % width }};

fn part0(w: W) -> F { return F(w); }

fn packed(a: F) -> W { return W(a); }
//% endif

//% if width == 1
fn total(v: F) -> f32 { return v; }
fn square(v: F) -> f32 { return v * v; }
fn first_of(v: F) -> f32 { return v; }
//% else
fn total(v: F) -> f32 { return {{ "v.x + v.y" if width == 2 else "(v.x + v.y) + (v.z + v.w)" }}; }
fn square(v: F) -> f32 { return dot(v, v); }
fn first_of(v: F) -> f32 { return v.x; }
//% endif
