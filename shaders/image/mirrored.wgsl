// Pixels in reverse order, within runs of units: a run is a row, or a whole picture.

fn convert(v: In) -> Out {
    return v;
}
//% include "image/pixels.wgsl"
