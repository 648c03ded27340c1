"""Bodies of kernels with barriers, most of which Dawn accepts, and some of which it refuses."""

from __future__ import annotations

__all__ = ["CASES", "kernel"]

_HEAD = """
struct Two { a: u32, b: u32 }
@group(0) @binding(0) var<storage, read_write> rw: array<u32>;
@group(0) @binding(1) var<storage, read> ro: array<u32>;
@group(0) @binding(2) var<uniform> u: vec4u;
var<workgroup> shared_: array<u32, 64>;
var<workgroup> count: atomic<u32>;
var<private> mine: u32;
override WIDE: bool = true;
const FEW = 3u;
"""
_FUNCTIONS = """
fn barrier() { workgroupBarrier(); }
fn same(x: u32) -> u32 { return x; }
fn fixed(x: u32) -> u32 { return 7u; }
fn chosen(x: u32) -> u32 { if (x > 2u) { return 1u; } return 2u; }
fn guarded(x: u32) { if (x > 2u) { workgroupBarrier(); } }
fn early(x: u32) { if (x > 2u) { return; } rw[0] = 1u; }
fn early_barrier(x: u32) { if (x > 2u) { return; } workgroupBarrier(); }
fn put(p: ptr<function, u32>, x: u32) { *p = x; }
fn peek(p: ptr<function, u32>) -> u32 { return *p; }
fn keep(p: ptr<function, u32>, x: u32) { _ = *p + x; }
fn maybe(p: ptr<function, u32>, x: u32) { if (x > 1u) { *p = 3u; } }
fn through(p: ptr<function, u32>) { if (*p > 1u) { workgroupBarrier(); } }
fn exchange(p: ptr<function, u32>, q: ptr<function, u32>) { let t = *p; *p = *q; *q = t; }
fn load(p: ptr<workgroup, array<u32, 64>>, i: u32) -> u32 { return workgroupUniformLoad(&(*p)[i]); }
fn from_workgroup(p: ptr<workgroup, array<u32, 64>>) -> u32 { return (*p)[0]; }
fn pair(x: u32) -> Two { return Two(x, 1u); }
fn nested(x: u32) { guarded(x + 1u); }
"""
_MAIN = """
@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) group: vec3u,
        @builtin(num_workgroups) groups: vec3u, @builtin(global_invocation_id) id: vec3u) {
    BODY
    rw[lane] = shared_[63u - lane] + ro[lane] + u.x + mine + atomicLoad(&count) + group.x + id.x;
}
"""

CASES = {
    "plain": "workgroupBarrier();",
    "in if of lane": "if (lane > 3u) { workgroupBarrier(); }",
    "in else of lane": "if (lane > 3u) { rw[0] = 1u; } else { workgroupBarrier(); }",
    "in else if": "if (u.x > 1u) { } else if (lane > 3u) { workgroupBarrier(); }",
    "in uniform else if": "if (u.x > 1u) { } else if (u.y > 3u) { workgroupBarrier(); }",
    "second condition of lane": "if (lane > 1u) { } else if (u.y > 3u) { workgroupBarrier(); }",
    "after if of lane": "if (lane > 3u) { rw[0] = 1u; } workgroupBarrier();",
    "in if of uniform": "if (u.x > 3u) { workgroupBarrier(); }",
    "in if of group": "if (group.x > 3u && groups.y == 2u) { workgroupBarrier(); }",
    "in if of id": "if (id.x > 3u) { workgroupBarrier(); }",
    "in if of read-only": "if (ro[0] > 3u) { workgroupBarrier(); }",
    "in if of read-only at lane": "if (ro[lane] > 3u) { workgroupBarrier(); }",
    "in if of written": "if (rw[0] > 3u) { workgroupBarrier(); }",
    "in if of workgroup": "if (shared_[0] > 3u) { workgroupBarrier(); }",
    "in if of private": "if (mine > 3u) { workgroupBarrier(); }",
    "in if of override": "if (WIDE) { workgroupBarrier(); }",
    "in if of const": "if (FEW > 2u) { workgroupBarrier(); }",
    "in if of length": "if (arrayLength(&rw) > 3u) { workgroupBarrier(); }",
    "in if of atomic": "if (atomicAdd(&count, 1u) == 0u) { workgroupBarrier(); }",
    "after early return": "if (lane > 3u) { return; } workgroupBarrier();",
    "after uniform return": "if (u.x > 3u) { return; } workgroupBarrier();",
    "after both return": "if (lane > 3u) { return; } else { return; }",
    "return in else": "if (lane > 3u) { rw[0] = 1u; } else { return; } workgroupBarrier();",
    "let of lane": "let x = lane + 1u; if (x > 3u) { workgroupBarrier(); }",
    "var of lane": "var x = 1u; x = lane; if (x > 3u) { workgroupBarrier(); }",
    "var set back": "var x = lane; x = 1u; if (x > 3u) { workgroupBarrier(); }",
    "var plus lane": "var x = 1u; x += lane; if (x > 3u) { workgroupBarrier(); }",
    "var step": "var x = 1u; x++; if (x > 3u) { workgroupBarrier(); }",
    "var set in branch": "var x = 1u; if (lane > 1u) { x = 2u; } if (x > 1u) { "
    "workgroupBarrier(); }",
    "var set in both": "var x = 1u; if (lane > 1u) { x = 2u; } else { x = 2u; } "
    "if (x > 1u) { workgroupBarrier(); }",
    "var set in uniform branch": "var x = 1u; if (u.x > 1u) { x = 2u; } "
    "if (x > 1u) { workgroupBarrier(); }",
    "var set in branch that returns": "var x = 1u; if (u.x > 1u) { x = lane; return; } "
    "if (x > 1u) { workgroupBarrier(); }",
    "part of array": "var a = array<u32, 2>(); a[0] = lane; if (a[1] > 1u) { workgroupBarrier(); }",
    "array whole": "var a = array<u32, 2>(lane, 1u); a = array<u32, 2>(); "
    "if (a[1] > 1u) { workgroupBarrier(); }",
    "array at lane": "var a = array<u32, 2>(); a[lane % 2u] = 1u; "
    "if (a[1] > 1u) { workgroupBarrier(); }",
    "array read at lane": "var a = array<u32, 2>(); if (a[lane % 2u] > 1u) { workgroupBarrier(); }",
    "let array at lane": "let a = vec4u(1u); if (a[lane % 2u] > 1u) { workgroupBarrier(); }",
    "swizzle": "var v = vec2u(1u); v.x = lane; if (v.y > 1u) { workgroupBarrier(); }",
    "struct": "var t = Two(1u, 2u); t.b = lane; if (t.a > 1u) { workgroupBarrier(); }",
    "struct result": "if (pair(lane).b > 1u) { workgroupBarrier(); }",
    "uniform struct result": "if (pair(u.x).b > 1u) { workgroupBarrier(); }",
    "and": "if (u.x > 1u && lane > 1u) { workgroupBarrier(); }",
    "or of calls": "if (u.x > 1u || fixed(lane) > 1u) { workgroupBarrier(); }",
    "for uniform": "for (var i = 0u; i < u.x; i++) { workgroupBarrier(); }",
    "for lane": "for (var i = lane; i < 9u; i += 64u) { workgroupBarrier(); }",
    "for to lane": "for (var i = 0u; i < lane; i++) { workgroupBarrier(); }",
    "after for of lane": "for (var i = lane; i < 9u; i += 64u) { rw[i] = 1u; } workgroupBarrier();",
    "for by lane": "for (var i = 0u; i < 9u; i += lane) { workgroupBarrier(); }",
    "break of lane": "for (var i = 0u; i < 9u; i++) { if (lane == i) { break; } "
    "workgroupBarrier(); }",
    "break of lane after": "for (var i = 0u; i < 9u; i++) { workgroupBarrier(); "
    "if (lane == i) { break; } }",
    "break then outside": "for (var i = 0u; i < 9u; i++) { if (lane == i) { break; } } "
    "workgroupBarrier();",
    "continue of lane": "for (var i = 0u; i < 9u; i++) { if (lane == i) { continue; } "
    "workgroupBarrier(); }",
    "continue of lane after": "for (var i = 0u; i < 9u; i++) { workgroupBarrier(); "
    "if (lane == i) { continue; } rw[0] = 1u; }",
    "continue of uniform": "for (var i = 0u; i < 9u; i++) { if (u.x == i) { continue; } "
    "workgroupBarrier(); }",
    "return in loop": "for (var i = 0u; i < 9u; i++) { if (lane == i) { return; } } "
    "workgroupBarrier();",
    "counted until lane breaks": "var n = 0u; for (var i = 0u; i < 9u; i++) { "
    "if (lane == i) { break; } n++; } if (n > 2u) { workgroupBarrier(); }",
    "counted until uniform breaks": "var n = 0u; for (var i = 0u; i < 9u; i++) { "
    "if (u.x == i) { break; } n++; } if (n > 2u) { workgroupBarrier(); }",
    "carried around": "var a = 0u; var b = 0u; for (var i = 0u; i < 9u; i++) { "
    "if (a > 1u) { workgroupBarrier(); } a = b; b = lane; }",
    "not carried": "var a = 0u; var b = 0u; for (var i = 0u; i < 9u; i++) { "
    "if (a > 1u) { workgroupBarrier(); } b = lane; b = a; }",
    "while": "var i = u.x; while (i > 0u) { i--; workgroupBarrier(); }",
    "while lane": "var i = lane; while (i > 0u) { i--; workgroupBarrier(); }",
    "loop": "var i = 0u; loop { if (i > 4u) { break; } workgroupBarrier(); continuing { i++; } }",
    "loop break if": "var i = 0u; loop { workgroupBarrier(); continuing { i++; break if i > "
    "u.x; } }",
    "loop break if lane": "var i = 0u; loop { workgroupBarrier(); "
    "continuing { i++; break if i > lane; } }",
    "barrier in continuing": "var i = 0u; loop { if (i == lane) { continue; } rw[0] = 1u; "
    "continuing { workgroupBarrier(); i++; break if i > 4u; } }",
    "loop without break": "if (u.y == 1u) { var i = 0u; loop { if (i > 4u) { return; } "
    "workgroupBarrier(); i++; } }",
    "for without condition": "for (var i = 0u; ; i++) { if (i > u.x) { break; } "
    "workgroupBarrier(); }",
    "nested loops": "for (var i = 0u; i < u.x; i++) { for (var j = lane; j < 9u; j++) "
    "{ rw[j] = i; } workgroupBarrier(); }",
    "nested loops break": "for (var i = 0u; i < u.x; i++) { for (var j = 0u; j < i; j++) "
    "{ if (j == lane) { break; } } workgroupBarrier(); }",
    "switch uniform": "switch u.x { case 0u: { workgroupBarrier(); } default: { rw[0] = 1u; } }",
    "switch lane": "switch lane { case 0u: { workgroupBarrier(); } default: { rw[0] = 1u; } }",
    "after switch lane": "switch lane { case 0u: { rw[1] = 1u; } default: { break; } } "
    "workgroupBarrier();",
    "break in switch": "switch u.x { case 0u: { if (lane > 1u) { break; } workgroupBarrier(); } "
    "default: { } }",
    "break in switch then outside": "switch u.x { case 0u: { if (lane > 1u) { break; } "
    "rw[0] = 1u; } default: { } } workgroupBarrier();",
    "return in switch": "switch lane { case 0u: { return; } default: { } } workgroupBarrier();",
    "var in switch": "var x = 0u; switch lane { case 0u: { x = 1u; } default: { } } "
    "if (x > 0u) { workgroupBarrier(); }",
    "var in uniform switch": "var x = 0u; switch u.x { case 0u: { x = 1u; break; } default: { } } "
    "if (x > 0u) { workgroupBarrier(); }",
    "continue in switch": "for (var i = 0u; i < 4u; i++) { switch lane { case 0u: { continue; } "
    "default: { } } workgroupBarrier(); }",
    "call": "barrier();",
    "call in if": "if (lane > 1u) { barrier(); }",
    "call in uniform if": "if (u.x > 1u) { barrier(); }",
    "guarded of uniform": "guarded(u.x);",
    "guarded of lane": "guarded(lane);",
    "guarded of shared": "guarded(shared_[1]);",
    "nested guarded of lane": "nested(lane);",
    "nested guarded of uniform": "nested(group.x);",
    "same of lane": "if (same(lane) > 1u) { workgroupBarrier(); }",
    "fixed of lane": "if (fixed(lane) > 1u) { workgroupBarrier(); }",
    "chosen of lane": "if (chosen(lane) > 1u) { workgroupBarrier(); }",
    "chosen of uniform": "if (chosen(u.x) > 1u) { workgroupBarrier(); }",
    "early of lane": "early(lane); workgroupBarrier();",
    "early barrier of lane": "early_barrier(lane);",
    "early barrier of uniform": "early_barrier(u.y);",
    "write of lane": "var x = 0u; put(&x, lane); if (x > 1u) { workgroupBarrier(); }",
    "write of uniform": "var x = lane; put(&x, u.x); if (x > 1u) { workgroupBarrier(); }",
    "keep of lane": "var x = 0u; keep(&x, lane); if (x > 1u) { workgroupBarrier(); }",
    "maybe of lane": "var x = 0u; maybe(&x, lane); if (x > 1u) { workgroupBarrier(); }",
    "maybe of uniform": "var x = lane; maybe(&x, u.x); if (x > 1u) { workgroupBarrier(); }",
    "read of lane": "var x = lane; if (peek(&x) > 1u) { workgroupBarrier(); }",
    "read of uniform": "var x = 3u; if (peek(&x) > 1u) { workgroupBarrier(); }",
    "through of lane": "var x = lane; through(&x);",
    "through of uniform": "var x = u.x; through(&x);",
    "exchange": "var x = lane; var y = 1u; exchange(&x, &y); if (x > 1u) { workgroupBarrier(); }",
    "exchange back": "var x = lane; var y = 1u; exchange(&x, &y); if (y > 1u) { "
    "workgroupBarrier(); }",
    "pointer": "var x = 0u; let p = &x; *p = lane; if (x > 1u) { workgroupBarrier(); }",
    "pointer of uniform": "var x = lane; let p = &x; *p = 1u; if (*p > 1u) { workgroupBarrier(); }",
    "pointer to part": "var x = vec2u(1u); let p = &x; (*p).x = lane; "
    "if (x.y > 1u) { workgroupBarrier(); }",
    "pointer by lane": "var a = array<u32, 4>(); let p = &a[lane % 4u]; *p = 1u; "
    "if (a[0] > 1u) { workgroupBarrier(); }",
    "pointer of pointer": "var x = 0u; let p = &x; let q = p; put(q, lane); "
    "if (x > 1u) { workgroupBarrier(); }",
    "pointer to shared": "let p = &shared_; if ((*p)[0] > 1u) { workgroupBarrier(); }",
    "uniform load": "let x = workgroupUniformLoad(&shared_[0]); if (x > 1u) { "
    "workgroupBarrier(); }",
    "uniform load of atomic": "let x = workgroupUniformLoad(&count); if (x > 1u) { "
    "workgroupBarrier(); }",
    "uniform load at lane": "let x = workgroupUniformLoad(&shared_[lane]);",
    "uniform load in if": "if (lane > 1u) { let x = workgroupUniformLoad(&shared_[0]); }",
    "load of uniform": "if (load(&shared_, u.x) > 1u) { workgroupBarrier(); }",
    "load of lane": "_ = load(&shared_, lane);",
    "from workgroup": "if (from_workgroup(&shared_) > 1u) { workgroupBarrier(); }",
    "select": "if (select(1u, lane, u.x > 1u) > 1u) { workgroupBarrier(); }",
    "select of uniforms": "if (select(1u, 2u, u.x > 1u) > 1u) { workgroupBarrier(); }",
    "hidden name": "var x = lane; { var x = 1u; if (x > 1u) { workgroupBarrier(); } }",
    "hidden name outside": "var x = lane; { var x = 1u; x = 2u; } if (x > 1u) { "
    "workgroupBarrier(); }",
    "storage barrier": "if (lane > 1u) { storageBarrier(); }",
    "storage barrier plain": "storageBarrier();",
    "texture barrier": "if (lane > 1u) { textureBarrier(); }",
    "dead barrier": "return; workgroupBarrier();",
    "dead barrier in if": "if (lane > 1u) { return; workgroupBarrier(); }",
    "block": "{ { workgroupBarrier(); } }",
    "exchanged through storage": "rw[0] = u.x; let x = rw[0]; if (x > 1u) { workgroupBarrier(); }",
    "assigned in condition chain": "var x = 0u; if (u.x > 1u) { x = 1u; } else if (lane > 1u) "
    "{ rw[0] = 1u; } else { x = 2u; } if (x > 0u) { workgroupBarrier(); }",
    "subgroup in if": "if (lane > 1u) { rw[0] = subgroupAdd(1u); }",
    "subgroup plain": "rw[0] = subgroupAdd(lane);",
    "subgroup result": "if (subgroupAdd(1u) > 1u) { workgroupBarrier(); }",
    "subgroup shuffle of lane": "rw[0] = subgroupShuffleXor(1u, lane);",
    "subgroup shuffle": "rw[0] = subgroupShuffleXor(lane, u.x);",
    "subgroup shuffle any": "rw[0] = subgroupShuffle(lane, lane);",
    "subgroup off": "@diagnostic(off, subgroup_uniformity) if (lane > 1u) { rw[0] = "
    "subgroupAdd(1u); }",
    "quad": "if (lane > 1u) { rw[0] = quadBroadcast(lane, 1u); }",
    "ballot": "if (lane > 1u) { rw[0] = subgroupBallot(true).x; }",
    "elect": "if (subgroupElect()) { rw[0] = 1u; }",
}


def kernel(body: str, subgroups: bool = False) -> str:
    """Return a kernel with that body."""
    head = "enable subgroups;\n" if subgroups else ""
    return head + _HEAD + _FUNCTIONS + _MAIN.replace("BODY", body)
