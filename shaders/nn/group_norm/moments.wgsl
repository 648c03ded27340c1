// Count, mean and spread (sum of squared distances from the mean) of a set of numbers, and the
// union of two sets (Chan, Golub and LeVeque 1979): nothing large is subtracted, so that a large
// mean does not cancel. M is f32, or vec4<f32> for four sets side by side.

struct Moments {
    count: f32,
    mean: M,
    spread: M,
}

fn merged(a: Moments, b: Moments) -> Moments {
    let count = a.count + b.count;
    let share = b.count / max(count, 1.0);
    let d = b.mean - a.mean;
    return Moments(count, a.mean + d * share, a.spread + b.spread + d * d * (a.count * share));
}

// With one more number (Welford 1962); `count` is that of the result.
fn with_value(m: Moments, count: f32, v: M) -> Moments {
    let d = v - m.mean;
    let mean = m.mean + d * (1.0 / count);
    return Moments(count, mean, m.spread + d * (v - mean));
}
