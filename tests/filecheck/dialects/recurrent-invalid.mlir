// RUN: not slmc opt %s
// CHECK: error: slm.causal_conv: a convolution of {{.*}} has a weight of shape (31, 3)
func.func @f(%x: tensor<?x32xf32>) {
  %y = slm.causal_conv %x, #slm.weight<"w", tensor<31x3xf32>> state "s" : tensor<?x32xf32>
  func.return
}
// -----
// CHECK: error: slm.causal_conv: a convolution of {{.*}} has a weight of shape (32,)
func.func @f(%x: tensor<?x32xf32>) {
  %y = slm.causal_conv %x, #slm.weight<"w", tensor<32xf32>> state "s" : tensor<?x32xf32>
  func.return
}
// -----
// CHECK: error: slm.causal_conv: a convolution of [4, 32] has a weight of shape (32, 3)
func.func @f(%x: tensor<4x32xf32>) {
  %y = slm.causal_conv %x, #slm.weight<"w", tensor<32x3xf32>> state "s" : tensor<4x32xf32>
  func.return
}
// -----
// CHECK: error: slm.causal_conv: a convolution of 32 channels has a bias of shape (31,)
func.func @f(%x: tensor<?x32xf32>) {
  %y = slm.causal_conv %x, #slm.weight<"w", tensor<32x3xf32>> bias #slm.weight<"b", tensor<31xf32>> state "s" : tensor<?x32xf32>
  func.return
}
// -----
// CHECK: error: slm.selective_scan: a scan takes u, dt [T, m], A [m, N], B, C [T, N], found [?, 32], [?, 32], [16, 32], [?, 16], [?, 16]
func.func @f(%u: tensor<?x32xf32>, %a: tensor<16x32xf32>, %b: tensor<?x16xf32>) {
  %y = slm.selective_scan %u, %u, %a, %b, %b state "s" : tensor<?x32xf32>, tensor<16x32xf32>, tensor<?x16xf32>, tensor<?x16xf32>
  func.return
}
// -----
// CHECK: error: slm.selective_scan: a scan takes u, dt [T, m], A [m, N], B, C [T, N], found [?, 32], [?, 32], [?, 16], [?, 16], [?, 16]
func.func @f(%u: tensor<?x32xf32>, %a: tensor<?x16xf32>) {
  %y = slm.selective_scan %u, %u, %a, %a, %a state "s" : tensor<?x32xf32>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>
  func.return
}
// -----
// CHECK: error: slmq.selective_scan: a scan takes u, dt [T, m], A [m, N], B, C [T, N], found
func.func @f(%u: tensor<?x32xf32>, %a: tensor<32x16xf32>, %b: tensor<?x16xf32>, %c: tensor<?x8xf32>) {
  %y = slmq.selective_scan %u, %u, %a, %b, %c state "s" : tensor<?x32xf32>, tensor<32x16xf32>, tensor<?x16xf32>, tensor<?x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.causal_conv: a convolution works on f32, found tensor<?x32xbf16>
func.func @f(%x: tensor<?x32xbf16>) {
  %y = slmq.causal_conv %x, #slm.weight<"w", tensor<32x3xf32>> state "s" : tensor<?x32xbf16>
  func.return
}
// -----
// CHECK: error: slmq.selective_scan: a scan works on f32, found tensor<?x16xbf16>
func.func @f(%u: tensor<?x32xf32>, %a: tensor<32x16xf32>, %b: tensor<?x16xbf16>) {
  %y = slmq.selective_scan %u, %u, %a, %b, %b state "s" : tensor<?x32xf32>, tensor<32x16xf32>, tensor<?x16xbf16>, tensor<?x16xbf16>
  func.return
}
// -----
// CHECK: error: slmq.causal_conv: a convolution of {{.*}} has a weight of shape (8, 3)
func.func @f(%x: tensor<?x32xf32>) {
  %y = slmq.causal_conv %x, #slm.weight<"w", tensor<8x3xf32>> state "s" : tensor<?x32xf32>
  func.return
}
