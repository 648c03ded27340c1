// Sizes of a window that slides over three axes z, y and x of (N, D, H, W, C), in words of channels.
//
// Tap k of result i along an axis is element i stride + k dilation - before of it.
struct Params {
    count: u32, units: u32,
    size_z: u32, size_y: u32, size_x: u32,
    result_z: u32, result_y: u32, result_x: u32,
    kernel_z: u32, kernel_y: u32, kernel_x: u32,
    stride_z: u32, stride_y: u32, stride_x: u32,
    dilation_z: u32, dilation_y: u32, dilation_x: u32,
    before_z: i32, before_y: i32, before_x: i32,
    {{ more }}
}
