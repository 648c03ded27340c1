// temporary
fn act_silu(v: f32) -> f32 { return v / (1.0 + exp(-v)); }
fn act_gelu(v: f32) -> f32 { return v / (1.0 + exp(-1.702 * v)); }
fn act_gelu_tanh(v: f32) -> f32 { return v / (1.0 + exp(-1.702 * v)); }
fn act_quick_gelu(v: f32) -> f32 { return v / (1.0 + exp(-1.702 * v)); }
